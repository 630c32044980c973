"""Configuration files: what is wrong is named by file, table and key, in one sentence."""

from pathlib import Path

import pytest

from clawswarm.agents.quoter.pricing import QuadraticModel
from clawswarm.model.errors import UserFault
from clawswarm.runtime.configuration import Configuration, load_configuration

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "config" / "sandbox.toml"
SERIES = ROOT / "config" / "series.toml"


def lines() -> list[str]:
    """The shipped file without its comments."""
    return [line.partition("#")[0].rstrip() for line in SHIPPED.read_text().splitlines()]


def edited(folder: Path, table: str, key: str, value: str | None) -> Path:
    """The shipped configuration with one key of one table changed, added or (None) left out."""
    written, current, is_done = [], "", False
    for line in lines():
        if line.startswith("["):
            if current == table and not is_done and value is not None:
                written.append(f"{key} = {value}")
                is_done = True
            current = line.strip("[]")
        if current == table and line.partition("=")[0].strip() == key:
            is_done = True
            line = "" if value is None else f"{key} = {value}"
        written.append(line)
    if not is_done and value is not None:
        written += [f"[{table}]"] * (current != table) + [f"{key} = {value}"]
    path = folder / "edited.toml"
    path.write_text("\n".join(written))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(UserFault) as refused:
        load_configuration(path)
    sentence = str(refused.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    return sentence


def test_the_shipped_configuration_loads() -> None:
    configuration = load_configuration(SHIPPED)
    assert isinstance(configuration, Configuration)
    assert configuration.mode == "sandbox"
    assert configuration.orchestrator.capital_usd > 0
    assert configuration.engine.limits.place_requests_600s == 36_000


def test_the_shipped_series_load() -> None:
    configuration = load_configuration(SERIES)
    assert (configuration.sandbox.data, configuration.sandbox.series) == ("", ("btc-5m",))
    assert configuration.unwinding.daily_batches == 3_000


def test_an_edit_of_these_tests_changes_one_value(tmp_path: Path) -> None:
    shipped = load_configuration(SHIPPED)
    changed = load_configuration(edited(tmp_path, "risk", "band", "0.1"))
    assert changed.risk.band == 0.1
    assert changed.orchestrator == shipped.orchestrator
    limited = load_configuration(edited(tmp_path, "engine.limits", "send_jitter_ms", "3"))
    assert limited.engine.limits.send_jitter_ms == 3


@pytest.mark.parametrize(
    ("table", "key", "where"),
    [
        ("quoter", "half_spread", "in [quoter]"),
        ("feed", "ping_interval", "in [feed]"),
        ("engine", "retries", "in [engine]"),
        ("engine.limits", "orders_per_minute", "in [engine.limits]"),
        ("", "colour", "in the top level"),
        ("hedging", "venue", "in the top level"),
    ],
)
def test_an_unknown_key_is_refused_by_name(tmp_path: Path, table: str, key: str, where: str) -> None:
    sentence = refusal(edited(tmp_path, table, key, "1"))
    unknown = key if table != "hedging" else "hedging"
    assert f"unknown key `{unknown}` {where};" in sentence


def test_passwords_of_proxies_need_a_proxy(tmp_path: Path) -> None:
    sentence = refusal(edited(tmp_path, "engine", "proxy_passwords", '"netrc"'))
    assert "[engine] proxy_passwords goes with a route over a proxy" in sentence


@pytest.mark.parametrize(
    ("table", "key", "where"),
    [
        ("orchestrator", "capital_usd", "[orchestrator]"),
        ("orchestrator", "max_position_shares", "[orchestrator]"),
        ("quoter", "pull_below", "[quoter]"),
        ("risk", "band", "[risk]"),
        ("supervision", "watchdog_s", "[supervision]"),
        ("sandbox", "port", "[sandbox]"),
        ("", "mode", "the top level"),
    ],
)
def test_what_can_lose_money_has_no_default(tmp_path: Path, table: str, key: str, where: str) -> None:
    assert f"missing key `{key}` in {where};" in refusal(edited(tmp_path, table, key, None))


@pytest.mark.parametrize(
    ("table", "key", "value", "said"),
    [
        (
            "orchestrator",
            "capital_usd",
            '"5000"',
            "Expected `int`, got `str` in [orchestrator], key capital_usd",
        ),
        ("orchestrator", "capital_usd", "5000.5", "Expected `int`, got `float` in [orchestrator]"),
        ("quoter", "feed_timeout_s", "true", "Expected `float`, got `bool` in [quoter]"),
        ("engine.limits", "send_jitter_ms", "[]", "Expected `int`, got `array` in [engine.limits]"),
        ("sandbox", "takers", "1", "Expected `bool`, got `int` in [sandbox], key takers"),
        ("", "mode", '"live"', "Invalid enum value 'live' in the top level, key mode"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(
    tmp_path: Path, table: str, key: str, value: str, said: str
) -> None:
    assert said in refusal(edited(tmp_path, table, key, value))


POSITIVE = [
    ("orchestrator", "capital_usd"),
    ("orchestrator", "max_position_shares"),
    ("orchestrator", "order_size_shares"),
    ("orchestrator", "max_loss_usd"),
    ("orchestrator", "max_drawdown_usd"),
    ("orchestrator", "cautious_share"),
    ("orchestrator", "window_share"),
    ("orchestrator", "mandate_life_s"),
    ("orchestrator", "renew_s"),
    ("quoter", "requote_ticks"),
    ("quoter", "feed_timeout_s"),
    ("risk", "band"),
    ("feed", "ping_interval_s"),
    ("feed", "dead_after_s"),
    ("feed", "reconnect_min_s"),
    ("feed", "reconnect_max_s"),
    ("engine", "heartbeat_s"),
    ("engine", "reconcile_s"),
    ("engine.limits", "place_requests_600s"),
    ("engine.limits", "place_requests_10s"),
    ("supervision", "watchdog_s"),
    ("supervision", "start_timeout_s"),
    ("supervision", "restart_window_s"),
    ("sandbox", "speed"),
]


@pytest.mark.parametrize(("table", "key"), POSITIVE)
@pytest.mark.parametrize("value", ["0", "-1"])
def test_a_value_that_must_be_above_zero_is_refused(tmp_path: Path, table: str, key: str, value: str) -> None:
    sentence = refusal(edited(tmp_path, table, key, value))
    assert f"[{table}] {key} is {value}" in sentence
    assert "it must be above 0" in sentence


@pytest.mark.parametrize("value", ["inf", "nan", "-inf"])
@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("quoter", "feed_timeout_s"),
        ("orchestrator", "mandate_life_s"),
        ("risk", "band"),
        ("engine", "heartbeat_s"),
    ],
)
def test_a_value_that_is_no_finite_number_is_refused(
    tmp_path: Path, table: str, key: str, value: str
) -> None:
    assert f"[{table}] {key} is {value}" in refusal(edited(tmp_path, table, key, value))


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("quoter", "pull_below"),
        ("orchestrator", "least_value"),
        ("supervision", "restarts"),
    ],
)
def test_a_value_may_be_zero_but_not_negative(tmp_path: Path, table: str, key: str) -> None:
    load_configuration(edited(tmp_path, table, key, "0"))
    assert f"[{table}] {key} is -1" in refusal(edited(tmp_path, table, key, "-1"))


@pytest.mark.parametrize(
    ("table", "key", "value", "said"),
    [
        ("feed", "ping_interval_s", "0.5", "[feed] ping_interval_s must be below dead_after_s"),
        ("feed", "reconnect_min_s", "9", "[feed] reconnect_min_s must not be above reconnect_max_s"),
        ("orchestrator", "renew_s", "10.0", "[orchestrator] renew_s must be below mandate_life_s"),
        (
            "orchestrator",
            "window_share",
            "1.5",
            "[orchestrator] window_share is a share; it must not be above 1",
        ),
        ("orchestrator", "cautious_share", "2", "[orchestrator] cautious_share is a share"),
        (
            "orchestrator",
            "order_size_shares",
            "201",
            "order_size_shares must not be above max_position_shares",
        ),
        ("orchestrator", "max_loss_usd", "5001", "[orchestrator] max_loss_usd is above capital_usd"),
        ("orchestrator", "max_drawdown_usd", "5001", "[orchestrator] max_drawdown_usd is above capital_usd"),
        ("engine", "heartbeat_s", "10", "the venue cancels everything 10 s after the last one"),
        ("sandbox", "control_port", "8870", "[sandbox] port and control_port are both 8870"),
    ],
)
def test_values_that_contradict_each_other_are_refused(
    tmp_path: Path, table: str, key: str, value: str, said: str
) -> None:
    assert said in refusal(edited(tmp_path, table, key, value))


@pytest.mark.parametrize(
    ("table", "key", "value", "said"),
    [
        ("risk", "band", "5", "[risk] band is a share of the capital"),
        ("engine", "touch_timeout_s", "500", "[engine] touch_timeout_s is 500.0, in seconds"),
        ("engine", "guard_silence_s", "300", "[engine] guard_silence_s is 300.0, in seconds"),
        ("feed", "dead_after_s", "500", "[feed] dead_after_s is 500.0, in seconds"),
        ("quoter", "feed_timeout_s", "500", "[quoter] feed_timeout_s is 500.0, in seconds"),
        ("orchestrator", "capital_usd", "5000000000", "is 5e+09; it must be at most 1,000,000,000"),
        ("orchestrator", "mandate_life_s", "1e9", "is 1e+09; it must be at most 86,400: is its unit right?"),
        ("supervision", "watchdog_s", "1e-6", "is 1e-06; it must be at least 0.001: is its unit right?"),
        ("unwinding", "least_usd", "inf", "[unwinding] least_usd is inf; it must be 0 or above and finite"),
    ],
)
def test_a_value_in_a_wrong_unit_is_refused(
    tmp_path: Path, table: str, key: str, value: str, said: str
) -> None:
    assert said in refusal(edited(tmp_path, table, key, value))


@pytest.mark.parametrize("key", ["port", "control_port"])
@pytest.mark.parametrize("value", ["0", "-1", "65536"])
def test_a_port_that_is_none_is_refused(tmp_path: Path, key: str, value: str) -> None:
    said = refusal(edited(tmp_path, "sandbox", key, value))
    assert f"[sandbox] {key} is {value}; it must be from 1 to 65535" in said


def test_a_state_directory_has_a_name(tmp_path: Path) -> None:
    assert "state_dir is empty" in refusal(edited(tmp_path, "", "state_dir", '""'))


def test_broken_toml_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text('mode = "sandbox"\n[quoter\n')
    sentence = refusal(path)
    assert "is not valid TOML" in sentence
    assert "line 2" in sentence


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00mode")
    assert "not UTF-8" in refusal(path)


def test_a_missing_file_is_named_with_its_remedy(tmp_path: Path) -> None:
    sentence = refusal(tmp_path / "none.toml")
    assert "No such file or directory" in sentence
    assert "--config" in sentence


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    assert "Is a directory" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"), [("skew", "-0.1"), ("fill_decay", "0.0"), ("rest_s", "inf"), ("informed_prior", "1.0")]
)
def test_a_parameter_of_the_strategy_out_of_range_is_refused(tmp_path: Path, key: str, value: str) -> None:
    said = refusal(edited(tmp_path, "quoter.model", key, value))
    assert f"[quoter.model] {key} is out of range" in said


def test_the_shipped_configuration_has_the_parameters_that_the_lab_starts_from() -> None:
    assert load_configuration(SHIPPED).quoter.model == QuadraticModel()
