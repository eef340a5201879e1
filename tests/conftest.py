"""What every run of the tests prints at its end."""

from pytest import TerminalReporter


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print the figures that passed tests measured: what they wrote on stdout, without their logs."""
    figures = [
        (report.nodeid, report.capstdout)
        for report in terminalreporter.getreports("passed")
        if report.when == "call" and report.capstdout
    ]
    if figures:
        terminalreporter.section("figures")
    for test, printed in figures:
        terminalreporter.write_line(test)
        terminalreporter.write(printed)
