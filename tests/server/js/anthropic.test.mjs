// The @anthropic-ai/sdk package: what it sends, what it reads, which errors it throws.
import assert from "node:assert/strict";
import test from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { ASK, assertIdle, CALL, collect, endless, PARAMETERS, parrot, small, TEXT, THOUGHT, TOKENS, TOO_LONG } from "./servers.mjs";

const client = (server) => new Anthropic({ baseURL: server, apiKey: "none", maxRetries: 0 });
const TOOLS = [{ name: "get_weather", description: "Weather of a city.", input_schema: PARAMETERS }];
const THINK = { type: "enabled", budget_tokens: 1024 };
const BODY = { model: "claude-any", max_tokens: 2000, messages: ASK, tools: TOOLS, thinking: THINK };

function assertWhole(message) {
  assert.deepEqual(message.content.map((block) => block.type), ["thinking", "text", "tool_use"]);
  const [thinking, text, call] = message.content;
  assert.equal(thinking.thinking.trim(), THOUGHT);
  assert.ok(thinking.signature);
  assert.equal(text.text, TEXT);
  assert.equal(call.name, "get_weather");
  assert.deepEqual(call.input, CALL);
  assert.equal(message.stop_reason, "tool_use");
  assert.equal(message.usage.output_tokens, TOKENS);
}

test("models", async () => {
  const [model] = await collect(client(parrot).models.list());
  assert.deepEqual([model.id, model.type], ["parrot-1", "model"]);
});

test("a message with thinking and a tool call", async () => {
  const message = await client(parrot).messages.create(BODY);
  assert.deepEqual([message.type, message.role, message.model], ["message", "assistant", "parrot-1"]);
  assertWhole(message);
});

test("stream", async () => {
  const events = await collect(await client(parrot).messages.create({ ...BODY, stream: true }));
  assert.equal(events[0].type, "message_start");
  assert.equal(events.at(-1).type, "message_stop");
  const deltas = events.filter((event) => event.type === "content_block_delta").map((event) => event.delta);
  assert.equal(deltas.map((delta) => delta.text ?? "").join(""), TEXT);
  assert.equal(deltas.map((delta) => delta.thinking ?? "").join("").trim(), THOUGHT);
  assert.deepEqual(JSON.parse(deltas.map((delta) => delta.partial_json ?? "").join("")), CALL);
});

test("stream, put together by the package", async () => {
  const texts = [];
  const stream = client(parrot).messages.stream(BODY).on("text", (text) => texts.push(text));
  assertWhole(await stream.finalMessage());
  assert.equal(texts.join(""), TEXT);
});

test("a turn with a tool's result", async () => {
  const { content } = await client(parrot).messages.create(BODY);
  const result = { role: "user", content: [{ type: "tool_result", tool_use_id: content[2].id, content: "sunny" }] };
  const message = await client(parrot).messages.create({ ...BODY, messages: [...ASK, { role: "assistant", content }, result] });
  assert.equal(message.content.find((block) => block.type === "text").text, TEXT);
  assert.ok(message.usage.cache_read_input_tokens > 0);
});

test("counted tokens are those of the message", async () => {
  const { model, messages, tools, thinking } = BODY;
  const counted = await client(parrot).messages.countTokens({ model, messages, tools, thinking });
  const { usage } = await client(parrot).messages.create(BODY);
  assert.equal(counted.input_tokens, usage.input_tokens + usage.cache_read_input_tokens + (usage.cache_creation_input_tokens ?? 0));
});

test("errors", async () => {
  await assert.rejects(client(small).messages.create({ ...BODY, messages: TOO_LONG }), (error) => {
    assert.ok(error instanceof Anthropic.BadRequestError);
    assert.equal(error.status, 400);
    assert.equal(error.error.error.type, "invalid_request_error");
    assert.match(error.message, /prompt is too long: \d+ tokens > 2048 maximum/);
    assert.equal(error.requestID, error.error.request_id);
    return true;
  });
  await assert.rejects(client(parrot).messages.create({ ...BODY, max_tokens: -1 }), (error) => {
    assert.ok(error instanceof Anthropic.BadRequestError);
    assert.match(error.message, /max_tokens/);
    return true;
  });
});

test("a stream that is aborted", async () => {
  const stream = client(endless).messages.stream({ model: "any", max_tokens: 50000, messages: ASK });
  stream.on("text", () => stream.abort());
  await assert.rejects(stream.finalMessage(), Anthropic.APIUserAbortError);
  await assertIdle(endless);
});
