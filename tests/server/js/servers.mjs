// The servers that test_javascript.py has started, and what their models say.
import assert from "node:assert/strict";

export const { PARROT: parrot, ENDLESS: endless, SMALL: small } = process.env;

export const TEXT = "Grüße 🦜!";
export const THOUGHT = "Let me see.";
export const CALL = { city: "Paris", days: 3 };
export const TOKENS = 17; // of the whole answer
export const QUESTION = "How is the weather?";
export const ASK = [{ role: "user", content: QUESTION }];
export const TOO_LONG = [{ role: "user", content: "x ".repeat(4000) }];
export const PARAMETERS = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city", "days"],
  additionalProperties: false,
};

export async function collect(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

// An answer that was aborted leaves no slot at work.
export async function assertIdle(server) {
  const end = Date.now() + 20000;
  for (;;) {
    const slots = await (await fetch(server + "/slots")).json();
    if (!slots.some((slot) => slot.is_processing)) return;
    assert.ok(Date.now() < end, JSON.stringify(slots));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
