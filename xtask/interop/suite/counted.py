"""A pytest plugin that lets no test of the official suite go missing.

Leaves out the tests in `LEFT_OUT`, says so by name with the reason, and fails the run unless exactly as many tests passed as are expected, none was
skipped, and every name in `LEFT_OUT` is the name of a test.
"""

import pytest

# Tests that pass, each with each of its clients: two of the blocking and three of the asynchronous kind.
EXPECTED = 190

MOCKED = "its answer comes from a mock inside the test: the request never leaves the client"
LEFT_OUT = {
    f"test_files.py::{group}::{test}": MOCKED
    for group in ("TestFiles", "TestAsyncFiles")
    for test in ("test_method_content", "test_raw_response_content", "test_streaming_response_content")
}


class Count:
    def __init__(self) -> None:
        self.left_out: dict[str, int] = {}
        self.passed = 0
        self.skipped: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config, items) -> None:
        kept, left_out = [], []
        for item in items:
            name = short(item.nodeid)
            (left_out if name in LEFT_OUT else kept).append(item)
            if name in LEFT_OUT:
                self.left_out[name] = self.left_out.get(name, 0) + 1
        items[:] = kept
        config.hook.pytest_deselected(items=left_out)

    def pytest_runtest_logreport(self, report) -> None:
        if report.when == "call" and report.passed:
            self.passed += 1
        if report.skipped:
            self.skipped.append(report.nodeid)

    def faults(self) -> list[str]:
        faults = [f"no test is named {name}, which is left out" for name in LEFT_OUT if name not in self.left_out]
        faults += [f"skipped: {name}" for name in self.skipped]
        if self.passed != EXPECTED:
            faults.append(f"{self.passed} tests passed, and {EXPECTED} are expected: say so in counted.py when that is right")
        return faults

    def pytest_sessionfinish(self, session, exitstatus) -> None:
        if exitstatus == pytest.ExitCode.OK and self.faults():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter) -> None:
        for name, times in sorted(self.left_out.items()):
            terminalreporter.write_line(f"LEFT OUT {times} times: {name}: {LEFT_OUT[name]}")
        for fault in self.faults():
            terminalreporter.write_line(f"FAULT: {fault}", red=True)


def short(node: str) -> str:
    """The name of a test without its folder and its parameters."""
    return node.split("[")[0].rsplit("/", 1)[-1]


def pytest_configure(config) -> None:
    config.pluginmanager.register(Count(), "partwise-count")
