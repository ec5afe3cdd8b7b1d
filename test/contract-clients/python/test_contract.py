"""The official Python client against a running Stoker. STOKER_BASE_URL, STOKER_KEY and the names of the models come from
python.test.ts, which starts the server. Every row asks for what the client makes of our answers."""

import asyncio
import json
import math
import os
import unittest

import openai
from openai import AsyncOpenAI, OpenAI

BASE_URL = os.environ["STOKER_BASE_URL"]
KEY = os.environ["STOKER_KEY"]
REAL = os.environ["STOKER_REAL_MODEL"]
MESSAGES = [{"role": "user", "content": "Tell me a story about a fox."}]


def connect(**options):
    return OpenAI(base_url=BASE_URL, **{"api_key": KEY, "max_retries": 0, **options})


class Answers(unittest.TestCase):
    def setUp(self):
        self.client = connect()
        self.addCleanup(self.client.close)

    def each_model(self):
        for model in (REAL, "sim-well"):
            with self.subTest(model=model):
                yield model

    def test_json_shape_and_usage(self):
        for model in self.each_model():
            answer = self.client.chat.completions.create(model=model, messages=MESSAGES, max_completion_tokens=8)
            self.assertTrue(answer.id.startswith("chatcmpl-"))
            self.assertEqual(answer.object, "chat.completion")
            self.assertEqual(answer.model, model)
            self.assertEqual(answer.choices[0].finish_reason, "length")
            self.assertEqual(answer.usage.completion_tokens, 8)
            self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + 8)

    def test_stream_with_usage(self):
        for model in self.each_model():
            stream = self.client.chat.completions.create(
                model=model, messages=MESSAGES, max_tokens=9, stream=True, stream_options={"include_usage": True}
            )
            chunks = list(stream)
            last = chunks.pop()
            self.assertEqual(last.choices, [])
            self.assertEqual(last.usage.completion_tokens, 9)
            self.assertEqual(len({(chunk.id, chunk.created, chunk.object) for chunk in chunks}), 1)
            self.assertEqual(chunks[0].choices[0].delta.role, "assistant")
            self.assertEqual(chunks[-1].choices[0].finish_reason, "length")
            self.assertTrue(all(chunk.choices[0].finish_reason is None for chunk in chunks[:-1]))

    def test_usage_is_not_sent_unasked(self):
        for chunk in self.client.chat.completions.create(model=REAL, messages=MESSAGES, max_tokens=4, stream=True):
            self.assertIsNone(chunk.usage)
            self.assertEqual(len(chunk.choices), 1)

    def test_async_stream_is_the_json_answer(self):
        question = {"messages": MESSAGES, "max_tokens": 12, "temperature": 0}

        async def read(model):
            async with AsyncOpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0) as client:
                stream = await client.chat.completions.create(model=model, stream=True, **question)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        for model in self.each_model():
            answer = self.client.chat.completions.create(model=model, **question)
            self.assertEqual(asyncio.run(read(model)), answer.choices[0].message.content)

    def test_choices_stop_and_unknown_fields(self):
        for model in self.each_model():
            answer = self.client.chat.completions.create(
                model=model,
                messages=MESSAGES,
                max_tokens=40,
                n=2,
                stop=[" the", " a"],
                user="somebody",
                extra_body={"some_engine_extra": {"deep": [1]}},
            )
            self.assertEqual([choice.index for choice in answer.choices], [0, 1])
            for choice in answer.choices:
                self.assertNotIn(" the", choice.message.content)

    def test_completions(self):
        for model in self.each_model():
            question = {"model": model, "prompt": "Once upon a time", "max_tokens": 7, "temperature": 0}
            answer = self.client.completions.create(**question)
            self.assertTrue(answer.id.startswith("cmpl-"))
            self.assertEqual(answer.usage.completion_tokens, 7)
            text = "".join(chunk.choices[0].text for chunk in self.client.completions.create(**question, stream=True))
            self.assertEqual(text, answer.choices[0].text)

    def test_embeddings(self):
        for model in self.each_model():
            asked = ["a fox", "a load balancer"]
            decoded = self.client.embeddings.create(model=model, input=asked)
            floats = self.client.embeddings.create(model=model, input=asked, encoding_format="float")
            self.assertGreater(decoded.usage.prompt_tokens, 0)
            for one, other in zip(decoded.data, floats.data, strict=True):
                self.assertEqual(one.index, other.index)
                self.assertAlmostEqual(math.hypot(*one.embedding), 1, places=3)
                for left, right in zip(one.embedding, other.embedding, strict=True):
                    self.assertAlmostEqual(left, right, places=5)

    def test_logprobs(self):
        answer = self.client.chat.completions.create(
            model=REAL, messages=MESSAGES, max_tokens=4, logprobs=True, top_logprobs=3
        )
        content = answer.choices[0].logprobs.content
        self.assertEqual(len(content), 4)
        for token in content:
            self.assertLessEqual(token.logprob, 0)
            self.assertEqual(len(token.top_logprobs), 3)

    def test_tool_calls(self):
        tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
        question = {"messages": MESSAGES, "tools": [tool], "tool_choice": "required"}
        answer = self.client.chat.completions.create(model="sim-well", **question)
        self.assertEqual(answer.choices[0].finish_reason, "tool_calls")
        [call] = answer.choices[0].message.tool_calls
        self.assertEqual(call.function.name, "weather")
        json.loads(call.function.arguments)
        pieces, name = "", None
        for chunk in self.client.chat.completions.create(model="sim-well", stream=True, **question):
            for piece in chunk.choices[0].delta.tool_calls or []:
                name = piece.function.name or name
                pieces += piece.function.arguments or ""
        self.assertEqual((name, pieces), ("weather", call.function.arguments))
        with self.assertRaises(openai.BadRequestError) as refused:
            self.client.chat.completions.create(model=REAL, **question)
        self.assertEqual(refused.exception.body["param"], "tools")

    def test_models(self):
        models = list(self.client.models.list())
        self.assertTrue(all(model.object == "model" and model.owned_by for model in models))
        self.assertIn("cold-python", [model.id for model in models])
        self.assertEqual(self.client.models.retrieve(REAL).id, REAL)

    def test_headers(self):
        raw = self.client.chat.completions.with_raw_response.create(
            model=REAL, messages=MESSAGES, max_tokens=2, extra_headers={"x-request-id": "mine-2"}
        )
        self.assertEqual(raw.headers["x-request-id"], "mine-2")
        self.assertEqual(raw.parse()._request_id, "mine-2")
        self.assertEqual(raw.headers["x-stoker-attempts"], "1")


class Failures(unittest.TestCase):
    def test_classes(self):
        client = connect()
        ask = client.chat.completions.create
        with self.assertRaises(openai.BadRequestError) as wrong:
            ask(model=REAL, messages=MESSAGES, temperature=9)
        self.assertEqual(wrong.exception.body["param"], "temperature")
        with self.assertRaises(openai.BadRequestError) as long:
            ask(model=REAL, messages=[{"role": "user", "content": "word " * 2000}])
        self.assertEqual(long.exception.code, "context_length_exceeded")
        with self.assertRaises(openai.NotFoundError) as unknown:
            ask(model="nothing", messages=MESSAGES)
        self.assertEqual(unknown.exception.code, "model_not_found")
        self.assertTrue(unknown.exception.request_id)
        with self.assertRaises(openai.APIStatusError) as large:
            ask(model=REAL, messages=[{"role": "user", "content": "x" * (5 << 20)}])
        self.assertEqual(large.exception.status_code, 413)
        with self.assertRaises(openai.AuthenticationError):
            connect(api_key="sk-somebody-else").models.list()

    def test_no_retry_where_it_cannot_help(self):
        raw = connect(max_retries=2)
        with self.assertRaises(openai.InternalServerError) as failed:
            raw.chat.completions.create(model="broken", messages=MESSAGES)
        self.assertEqual(failed.exception.code, "model_failed")
        # The client says with each request how often it has tried before.
        self.assertEqual(failed.exception.request.headers["x-stainless-retry-count"], "0")

    def test_comes_back_to_a_cold_model(self):
        raw = connect(max_retries=1).chat.completions.with_raw_response.create(
            model="cold-python", messages=MESSAGES, max_tokens=3, extra_headers={"x-stoker-deadline-ms": "3500"}
        )
        self.assertEqual(raw.retries_taken, 1)
        self.assertEqual(raw.parse().usage.completion_tokens, 3)

    def test_broken_off_stream_raises(self):
        stream = connect().chat.completions.create(model="sim-cut", messages=MESSAGES, stream=True)
        with self.assertRaises(openai.APIError) as cut:
            list(stream)
        self.assertEqual(cut.exception.code, "upstream_failed")
        with self.assertRaises(openai.InternalServerError):
            connect().chat.completions.create(model="sim-cut", messages=MESSAGES)

    def test_timeout(self):
        # This client says how long it will bear silence, so the server may be the first to call it off.
        with self.assertRaises((openai.APITimeoutError, openai.InternalServerError)) as late:
            connect(timeout=0.4).chat.completions.create(model="sim-slow", messages=MESSAGES, max_tokens=1000)
        if isinstance(late.exception, openai.InternalServerError):
            self.assertEqual(late.exception.code, "deadline_exceeded")

    def test_leaving_a_stream(self):
        # python.test.ts looks whether the engine is free afterwards.
        with connect().chat.completions.create(model="sim-slow", messages=MESSAGES, stream=True) as stream:
            for _ in stream:
                break


if __name__ == "__main__":
    unittest.main(verbosity=2)
