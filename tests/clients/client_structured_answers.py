"""Answers held to a form, through the libraries that ask for them: each reads the answer itself and checks it."""
import json
from typing import Literal

import pytest
from pydantic import BaseModel, Field

QUESTION = "Ada Lovelace, born in 1815, mathematician, likes blue and green. Extract her record."


class Person(BaseModel):
    name: str = Field(max_length=40)
    born: int = Field(ge=1000, le=2100)
    occupation: str = Field(max_length=30)
    colors: list[Literal["red", "green", "blue"]] = Field(min_length=1, max_length=3)


@pytest.fixture
def openai_client(url):
    from openai import OpenAI

    return OpenAI(base_url=url, api_key="none", timeout=120, max_retries=0)


def test_openai_parse(openai_client):
    answer = openai_client.beta.chat.completions.parse(model="small", messages=[{"role": "user", "content": QUESTION}], response_format=Person,
                                                       max_tokens=400)
    assert isinstance(answer.choices[0].message.parsed, Person)


def test_openai_json_object(openai_client):
    answer = openai_client.chat.completions.create(model="small", messages=[{"role": "user", "content": QUESTION + " Answer as JSON."}],
                                                   response_format={"type": "json_object"}, max_tokens=800, temperature=0)
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(answer.choices[0].message.content), dict)


def test_openai_tools(openai_client):
    import openai

    tools = [openai.pydantic_function_tool(Person, name="save"),
             {"type": "function", "function": {"name": "add", "strict": True, "parameters": {"type": "object", "properties": {"a": {"type": "integer", "maximum": 99}},
                                                                            "required": ["a"], "additionalProperties": False}}}]
    for choice, name in (("required", None), ({"type": "function", "function": {"name": "add"}}, "add"),
                         ({"type": "function", "function": {"name": "save"}}, "save")):
        answer = openai_client.beta.chat.completions.parse(model="small", messages=[{"role": "user", "content": QUESTION}], tools=tools,
                                                           tool_choice=choice, parallel_tool_calls=False, max_tokens=400)
        call, = answer.choices[0].message.tool_calls
        assert call.function.name == (name or call.function.name)
        if call.function.name == "save":
            assert isinstance(call.function.parsed_arguments, Person)
        else:
            assert isinstance(json.loads(call.function.arguments)["a"], int)


@pytest.mark.parametrize("mode", ["TOOLS", "JSON", "JSON_SCHEMA"])
def test_instructor(url, mode, says):
    import instructor
    from openai import OpenAI

    base = says('{"name": "Ada", "born": 1815, ', '"occupation": "mathematician", "colors": ["blue"]}') if mode == "JSON" else url
    client = instructor.from_openai(OpenAI(base_url=base, api_key="none"), mode=getattr(instructor.Mode, mode))
    answer = client.chat.completions.create(model="small", response_model=Person, max_retries=0, max_tokens=2000, temperature=0,
                                            messages=[{"role": "user", "content": QUESTION}])
    assert isinstance(answer, Person)


@pytest.mark.parametrize("mode", ["ToolOutput", "NativeOutput", "PromptedOutput"])
def test_pydantic_ai(url, mode, says):
    import pydantic_ai
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    # What is asked for in words alone a small model does not always do: there a model answers that says what is wanted.
    base = says('{"name": "Ada", "born": 1815, ', '"occupation": "mathematician", "colors": ["blue"]}') if mode == "PromptedOutput" else url
    model = OpenAIChatModel("small", provider=OpenAIProvider(base_url=base, api_key="none"))
    agent = Agent(model, output_type=getattr(pydantic_ai, mode)(Person), retries=3)
    result = agent.run_sync(QUESTION, model_settings={"max_tokens": 600})
    assert isinstance(result.output, Person)


@pytest.mark.parametrize("method", ["function_calling", "json_mode", "json_schema"])
def test_langchain(url, method):
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="small", base_url=url, api_key="none", max_completion_tokens=600, temperature=0)
    if method == "json_mode":  # any object: the library checks it only against a type of its own
        assert isinstance(model.with_structured_output(None, method=method).invoke('Answer with {"name": "Ada"} as JSON.'), dict)
    else:
        assert isinstance(model.with_structured_output(Person, method=method).invoke(QUESTION), Person)


def test_langchain_tools(url):
    from langchain_core.messages import ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    @tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    model = ChatOpenAI(model="small", base_url=url, api_key="none", max_completion_tokens=200)
    first = model.bind_tools([add], tool_choice="any").invoke("What is 2 + 3?")
    assert first.tool_calls and all(call["name"] == "add" for call in first.tool_calls)
    history = [("user", "What is 2 + 3?"), first, *(ToolMessage("5", tool_call_id=call["id"]) for call in first.tool_calls)]
    assert model.bind_tools([add], tool_choice="none").invoke(history).content


def test_outlines(openai_client):
    import outlines

    model = outlines.from_openai(openai_client, "small")
    assert Person.model_validate_json(model(QUESTION, Person, max_tokens=400))


@pytest.mark.parametrize("kind", ["json_schema", "required"])
def test_litellm(url, kind):
    import litellm

    common = {"model": "openai/small", "api_base": url, "api_key": "none", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 600}
    if kind == "json_schema":
        answer = litellm.completion(**common, response_format=Person)
        assert Person.model_validate_json(answer.choices[0].message.content)
    else:
        tool = {"type": "function", "function": {"name": "save", "parameters": Person.model_json_schema()}}
        answer = litellm.completion(**common, tools=[tool], tool_choice="required")
        assert all(Person.model_validate_json(call.function.arguments) for call in answer.choices[0].message.tool_calls)


def test_smolagents(url):
    """An agent that may only call tools: it must come to its end through them."""
    from smolagents import OpenAIServerModel, ToolCallingAgent, tool

    @tool
    def weather(city: str) -> str:
        """Tells the weather.

        Args:
            city: Where.
        """
        return "sunny"

    agent = ToolCallingAgent(tools=[weather], model=OpenAIServerModel("small", api_base=url, api_key="none", max_tokens=300, parallel_tool_calls=False), max_steps=2, verbosity_level=0)
    agent.run("How is the weather in Paris?")
    steps = [step for step in agent.memory.steps if getattr(step, "tool_calls", None)]
    assert steps, agent.memory.steps
    assert all(call.name in ("weather", "final_answer") for step in steps for call in step.tool_calls)
