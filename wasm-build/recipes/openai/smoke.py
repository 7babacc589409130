"""openai builds its requests, reads the service's answers and errors, and says which host it may not reach."""

import json

import openai
import requests
from openai.api_requestor import APIRequestor, parse_stream
from openai.openai_object import OpenAIObject

assert openai.__version__ == "0.28.0"

openai.api_key = "sk-smoke"
question = {"model": "gpt-4", "messages": [{"role": "user", "content": "hi"}]}
url, headers, data = APIRequestor()._prepare_request_raw("/chat/completions", None, "post", question, None, None)
assert url == "https://api.openai.com/v1/chat/completions"
assert headers["Authorization"] == "Bearer sk-smoke"
assert json.loads(data) == question

message = ""
try:
    openai.ChatCompletion.create(**question)
except openai.error.APIConnectionError as error:
    message = str(error)
assert 'allow it with --allow-http api.openai.com or Grants(http=["api.openai.com"])' in message, message

events = [b'data: {"id": "a", "choices": []}', b"", b": comment", b"data: [DONE]"]
assert list(parse_stream(iter(events))) == ['{"id": "a", "choices": []}']


def refused(status, error):
    response = requests.Response()
    response.status_code = status
    response._content = json.dumps({"error": error}).encode()
    try:
        APIRequestor()._interpret_response(response, False)
    except openai.error.OpenAIError as raised:
        return type(raised), raised.user_message
    return None


limit = {"message": "slow down", "type": "requests", "param": None, "code": None}
assert refused(429, limit) == (openai.error.RateLimitError, "slow down")
assert refused(401, {**limit, "message": "no key"}) == (openai.error.AuthenticationError, "no key")

made = OpenAIObject.construct_from({"id": "x", "choices": [{"message": {"content": "hello"}}]}, "key")
assert made.choices[0].message.content == "hello"
assert json.loads(str(made))["id"] == "x"
