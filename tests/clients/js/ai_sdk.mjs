// Vercel's AI SDK: objects, tools that are required, and a stream of an object.
import assert from "node:assert/strict";
import test from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, streamObject, tool } from "ai";
import { z } from "zod";

const provider = createOpenAICompatible({ name: "smollm", baseURL: process.env.SMOLLM_URL + "/v1", supportsStructuredOutputs: true });
const model = provider("small");
const schema = z.object({ name: z.string().max(40), born: z.number().int().min(1000).max(2100), colors: z.array(z.enum(["red", "green", "blue"])).min(1).max(3) });
const prompt = "Ada Lovelace, born in 1815, likes blue. Extract her record.";

test("generateObject", async () => {
  const { object } = await generateObject({ model, schema, prompt, maxOutputTokens: 400 });
  schema.parse(object);
});

test("generateObject, one of an enum", async () => {
  const { object } = await generateObject({ model, output: "enum", enum: ["yes", "no"], prompt: "Is water wet?", maxOutputTokens: 100 });
  assert.ok(["yes", "no"].includes(object));
});

test("streamObject", async () => {
  const { partialObjectStream, object } = streamObject({ model, schema, prompt, maxOutputTokens: 400 });
  let parts = 0;
  for await (const _ of partialObjectStream) parts++;
  assert.ok(parts > 1);
  schema.parse(await object);
});

test("a required tool", async () => {
  const save = tool({ description: "Saves a record", inputSchema: schema, execute: async () => "saved" });
  const { toolCalls, toolResults } = await generateText({ model, tools: { save }, toolChoice: "required", prompt, maxOutputTokens: 400 });
  assert.ok(toolCalls.length > 0);
  for (const call of toolCalls) schema.parse(call.input);
  assert.equal(toolResults[0].output, "saved");
});
