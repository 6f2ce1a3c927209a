// The ollama package: what it sends, what it reads, which errors it throws.
import assert from "node:assert/strict";
import test from "node:test";
import { Ollama } from "ollama";
import { ASK, assertIdle, CALL, collect, endless, PARAMETERS, parrot, small, TEXT, THOUGHT, TOKENS, TOO_LONG } from "./servers.mjs";

const client = (host) => new Ollama({ host });
const TOOLS = [{ type: "function", function: { name: "get_weather", description: "Weather of a city.", parameters: PARAMETERS } }];

test("list, show, ps, version", async () => {
  const { models } = await client(small).list();
  assert.deepEqual(models.map((model) => model.model), ["small"]);
  const shown = await client(small).show({ model: "small" });
  assert.ok(shown.capabilities.includes("completion"));
  assert.equal(shown.details.format, "gguf");
  assert.equal((await client(small).ps()).models[0].model, "small");
  assert.match((await client(small).version()).version, /^\d+\.\d+\.\d+/);
});

test("chat with thinking and a tool call", async () => {
  const answer = await client(parrot).chat({ model: "parrot-1", messages: ASK, tools: TOOLS, think: true });
  assert.equal(answer.message.content, TEXT);
  assert.equal(answer.message.thinking.trim(), THOUGHT);
  const [call] = answer.message.tool_calls;
  assert.deepEqual([call.function.name, call.function.arguments], ["get_weather", CALL]);
  assert.deepEqual([answer.done, answer.done_reason, answer.eval_count], [true, "stop", TOKENS]);
});

test("chat stream", async () => {
  const parts = await collect(await client(parrot).chat({ model: "parrot-1", messages: ASK, tools: TOOLS, think: true, stream: true }));
  assert.ok(parts.length > 3);
  assert.equal(parts.map((part) => part.message.content).join(""), TEXT);
  assert.equal(parts.map((part) => part.message.thinking ?? "").join("").trim(), THOUGHT);
  assert.deepEqual(parts.flatMap((part) => part.message.tool_calls ?? []).map((call) => call.function.arguments), [CALL]);
  assert.deepEqual(parts.map((part) => part.done), parts.map((_, i) => i === parts.length - 1));
});

test("generate", async () => {
  const options = { num_predict: 5, temperature: 0 };
  const whole = await client(small).generate({ model: "small", prompt: "Once upon a time", raw: true, options });
  assert.deepEqual([whole.done_reason, whole.eval_count], ["length", 5]);
  const parts = await collect(await client(small).generate({ model: "small", prompt: "Once upon a time", raw: true, options, stream: true }));
  assert.ok(whole.response.length > 0);
  assert.equal(parts.map((part) => part.response).join(""), whole.response);
});

test("an answer held to a schema", async () => {
  const format = { type: "object", properties: { age: { type: "integer", minimum: 1, maximum: 99 } }, required: ["age"] };
  const { message } = await client(small).chat({ model: "small", messages: ASK, format, options: { num_predict: 60 } });
  const { age } = JSON.parse(message.content);
  assert.ok(Number.isInteger(age) && age >= 1 && age <= 99);
});

test("embeddings", async () => {
  const { embeddings } = await client(small).embed({ model: "small", input: ["one", "two"] });
  assert.deepEqual(embeddings.map((embedding) => embedding.length), [576, 576]);
  const { embedding } = await client(small).embeddings({ model: "small", prompt: "one" });
  const cosine = embedding.reduce((sum, value, i) => sum + value * embeddings[0][i], 0) / Math.hypot(...embedding);
  assert.ok(cosine > 0.9999);
});

test("errors", async () => {
  await assert.rejects(client(small).show({ model: "other" }), (error) => {
    assert.deepEqual([error.name, error.status_code], ["ResponseError", 404]);
    assert.match(error.message, /other/);
    return true;
  });
  await assert.rejects(client(small).chat({ model: "small", messages: TOO_LONG }), (error) => {
    assert.deepEqual([error.name, error.status_code], ["ResponseError", 400]);
    assert.match(error.message, /prompt is too long: \d+ tokens > 2048 maximum/);
    return true;
  });
});

test("a stream that is aborted", async () => {
  const stream = await client(endless).chat({ model: "endless", messages: ASK, stream: true });
  const parts = [];
  await assert.rejects(async () => {
    for await (const part of stream) if (parts.push(part) === 5) stream.abort();
  }, { name: "AbortError" });
  assert.ok(parts.length >= 5);
  await assertIdle(endless);
});
