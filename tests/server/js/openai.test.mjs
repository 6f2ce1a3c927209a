// The openai package: what it sends, what it reads, which errors it throws.
import assert from "node:assert/strict";
import test from "node:test";
import OpenAI from "openai";
import { ASK, assertIdle, CALL, collect, endless, PARAMETERS, parrot, QUESTION, small, TEXT, THOUGHT, TOKENS, TOO_LONG } from "./servers.mjs";

const client = (server) => new OpenAI({ baseURL: server + "/v1", apiKey: "none", maxRetries: 0 });
const TOOLS = [{ type: "function", function: { name: "get_weather", description: "Weather of a city", parameters: PARAMETERS } }];
const FLAT_TOOL = { type: "function", name: "get_weather", description: "Weather of a city", strict: true, parameters: PARAMETERS };

test("models", async () => {
  const models = await collect(client(parrot).models.list());
  assert.deepEqual(models.map((model) => model.id), ["parrot-1"]);
  assert.equal((await client(parrot).models.retrieve("parrot-1")).owned_by, "smollm");
});

test("chat with a tool call", async () => {
  const answer = await client(parrot).chat.completions.create({ model: "any", messages: ASK, tools: TOOLS, max_tokens: 100 });
  const [{ message, finish_reason }] = answer.choices;
  assert.equal(message.content, TEXT);
  assert.equal(message.reasoning_content.trim(), THOUGHT);
  assert.equal(finish_reason, "tool_calls");
  const [call] = message.tool_calls;
  assert.equal(call.function.name, "get_weather");
  assert.deepEqual(JSON.parse(call.function.arguments), CALL);
  assert.ok(call.id);
  assert.equal(answer.usage.completion_tokens, TOKENS);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + TOKENS);
});

test("chat stream", async () => {
  const stream = await client(parrot).chat.completions.create({
    model: "any", messages: ASK, tools: TOOLS, max_tokens: 100, stream: true, stream_options: { include_usage: true },
  });
  const chunks = await collect(stream);
  const deltas = chunks.flatMap((chunk) => chunk.choices).map((choice) => choice.delta);
  assert.equal(deltas.map((delta) => delta.content ?? "").join(""), TEXT);
  const pieces = deltas.flatMap((delta) => delta.tool_calls ?? []);
  assert.deepEqual(JSON.parse(pieces.map((piece) => piece.function.arguments ?? "").join("")), CALL);
  assert.ok(pieces.length > 2);
  assert.equal(chunks.at(-1).usage.completion_tokens, TOKENS);
  assert.equal(chunks.at(-2).choices[0].finish_reason, "tool_calls");
});

test("chat stream, put together by the package", async () => {
  const completion = await client(parrot).chat.completions.stream({ model: "any", messages: ASK, tools: TOOLS, max_tokens: 100 }).finalChatCompletion();
  assert.equal(completion.choices[0].message.content, TEXT);
  assert.deepEqual(JSON.parse(completion.choices[0].message.tool_calls[0].function.arguments), CALL);
});

test("a tool that the package runs", async () => {
  const seen = [];
  const runner = client(parrot).chat.completions.runTools({
    model: "any", messages: ASK, max_tokens: 100,
    tools: [{ type: "function", function: { ...TOOLS[0].function, parse: JSON.parse, function: (given) => void seen.push(given) || "sunny" } }],
  }, { maxChatCompletions: 2 });
  await runner.done();
  assert.deepEqual(seen[0], CALL);
  assert.ok(runner.messages.some((message) => message.role === "tool" && message.content === "sunny"));
});

test("errors", async () => {
  await assert.rejects(client(small).chat.completions.create({ model: "any", messages: TOO_LONG }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.status, 400);
    assert.equal(error.code, "context_length_exceeded");
    assert.match(error.message, /prompt is too long: \d+ tokens > 2048 maximum/);
    return true;
  });
  await assert.rejects(client(parrot).models.retrieve("other"), OpenAI.NotFoundError);
  await assert.rejects(client(parrot).chat.completions.create({ model: "any", messages: ASK, temperature: -1 }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.match(error.message, /temperature/);
    assert.equal(error.param, "temperature");
    return true;
  });
});

test("embeddings", async () => {
  const [ours, texts] = [client(small), ["one", "two"]];
  const { data, usage } = await ours.embeddings.create({ model: "any", input: texts }); // asks for base64
  const plain = await ours.embeddings.create({ model: "any", input: texts, encoding_format: "float" });
  assert.equal(data.length, 2);
  assert.equal(data[0].embedding.length, 576);
  for (const i of [0, 1])
    for (const [j, value] of data[i].embedding.entries()) assert.ok(Math.abs(value - plain.data[i].embedding[j]) < 1e-6);
  assert.ok(Math.abs(data[0].embedding.reduce((sum, value) => sum + value * value, 0) - 1) < 1e-4);
  assert.ok(usage.prompt_tokens > 0);
});

test("responses", async () => {
  const response = await client(parrot).responses.create({ model: "any", input: QUESTION, tools: [FLAT_TOOL], reasoning: { effort: "low" } });
  assert.equal(response.status, "completed");
  assert.equal(response.output_text, TEXT);
  assert.deepEqual(response.output.map((item) => item.type), ["reasoning", "message", "function_call"]);
  assert.deepEqual(JSON.parse(response.output[2].arguments), CALL);
  assert.equal(response.usage.output_tokens, TOKENS);
});

test("responses stream", async () => {
  const stream = await client(parrot).responses.create({ model: "any", input: QUESTION, tools: [FLAT_TOOL], stream: true });
  const events = await collect(stream);
  const joined = (type) => events.filter((event) => event.type === type).map((event) => event.delta).join("");
  assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, i) => i));
  assert.equal(events[0].type, "response.created");
  assert.equal(events.at(-1).type, "response.completed");
  assert.equal(joined("response.output_text.delta"), TEXT);
  assert.equal(joined("response.reasoning_text.delta").trim(), THOUGHT);
  assert.deepEqual(JSON.parse(joined("response.function_call_arguments.delta")), CALL);
  const final = await client(parrot).responses.stream({ model: "any", input: QUESTION, tools: [FLAT_TOOL] }).finalResponse();
  assert.equal(final.output_text, TEXT);
});

test("a stream that is aborted", async () => {
  const stream = await client(endless).chat.completions.create({ model: "any", messages: ASK, stream: true });
  let chunks = 0;
  for await (const _ of stream) if (++chunks === 5) break;
  await assertIdle(endless);
  const controller = new AbortController();
  const waiting = client(endless).chat.completions.create({ model: "any", messages: ASK }, { signal: controller.signal });
  setTimeout(() => controller.abort(), 200);
  await assert.rejects(waiting, OpenAI.APIUserAbortError);
  await assertIdle(endless);
  const responses = await client(endless).responses.create({ model: "any", input: QUESTION, stream: true });
  for await (const event of responses) if (event.type === "response.output_text.delta") responses.controller.abort();
  await assertIdle(endless);
});
