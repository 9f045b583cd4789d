import pytest

from mcp_server.deadline import Deadline
from mcp_server.errors import ToolError
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.conversation import Silent


class Heard(Silent):
    def __init__(self):
        self.said = []

    def notify(self, _, params):
        self.said.append(params["progress"])


def test_the_tokens_of_a_second_answer_count_on_from_the_first():
    now, heard = [0.0], Heard()
    call = CallContext(None, Deadline.after(20), conversation=heard, progress_token="p")
    for answers in ((100, 200), (5, 50)):
        report = call.counting_tokens(lambda: now[0])
        for tokens in answers:
            now[0] += 1
            report(tokens)
    assert heard.said == [100, 200, 205, 250]


@pytest.mark.parametrize(("models", "wanted", "asked"), [
    ((), None, None), ((), "any", "any"), (("a", "b"), None, "a"), (("a", "b"), "b", "b")])
def test_the_model_that_is_asked_is_one_that_the_caller_may_use(models, wanted, asked):
    assert CallContext(None, Deadline.after(20), models=models).model(wanted) == asked


def test_another_model_is_refused_with_the_names_of_those_there_are():
    with pytest.raises(ToolError, match=r"model: 'c' is not for you\. You may use: a, b\."):
        CallContext(None, Deadline.after(20), models=("a", "b")).model("c")
