"""The saved page as people use it, in a browser without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

import eventsourcing_kit as ek
from tests import browsers

pytestmark = pytest.mark.processes
MARKUP = "<img src=x onerror=\"document.title='broken'\"></script>"


@pytest.fixture(scope="module")
def store() -> ek.EventStore:
    made = ek.EventStore(clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1min"), seed=1)
    for n in range(30):
        kind = "Paid" if n % 4 else "Refunded"
        made.append(f"account-{n % 3}", ek.NewEvent(type=kind, data={"amount": n, "by": MARKUP}, metadata={"run": n}))
    return made


@pytest.fixture(scope="module")
def account() -> ek.Projection:
    return ek.Projection(
        "account",
        fields={
            "balance": ek.fold.total("Paid", "amount") - ek.fold.total("Refunded", "amount"),
            "last": ek.fold.last({"Paid": "paid", "Refunded": "refunded"}),
            "by": ek.fold.last("Paid", "by"),
        },
    )


@pytest.fixture(scope="module")
def saved(store: ek.EventStore, account: ek.Projection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "account.html"
    ek.explore(store, account).save(path)
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with browsers.chromium(tmp_path_factory.mktemp("profile"), "1200,900") as driver:
        yield driver


def until(browser: webdriver.Chrome, holds: Any) -> Any:
    return WebDriverWait(browser, 20, poll_frequency=0.05).until(holds)


def opened(browser: webdriver.Chrome, path: Path, position: str = "") -> webdriver.Chrome:
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get(path.as_uri() + position)
    until(browser, lambda b: b.execute_script("return performance.getEntriesByName('ek-ready').length"))
    return browser


@pytest.fixture
def page(browser: webdriver.Chrome, saved: Path) -> webdriver.Chrome:
    return opened(browser, saved)


def moment(browser: webdriver.Chrome) -> int:
    found: int = browser.execute_script("return ek.moment")
    return found


def one(browser: webdriver.Chrome, selector: str) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, f".ek {selector}")


def press(browser: webdriver.Chrome, *keys: str) -> None:
    actions = webdriver.ActionChains(browser)
    for key in keys:
        actions.send_keys(key)
    actions.perform()


def test_it_opens_offline_without_a_complaint(page: webdriver.Chrome) -> None:
    assert moment(page) == 30
    assert "30 events · 3 keys" in one(page, ".title").text
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []
    loaded = page.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert loaded == []


def test_a_link_opens_at_its_position(browser: webdriver.Chrome, saved: Path) -> None:
    assert moment(opened(browser, saved, "#position=12")) == 12


def test_it_says_store_position_and_digest(page: webdriver.Chrome, store: ek.EventStore) -> None:
    report = store.verify()
    told = one(page, ".title div").get_attribute("title")
    assert str(store.read(limit=1).__iter__().__next__().store_id) in told
    assert f"position 30, digest {report.digest}" in told


def test_the_states_are_those_of_the_history_and_what_changed_is_lit(
    page: webdriver.Chrome, store: ek.EventStore, account: ek.Projection
) -> None:
    for position in (30, 17, 4):
        page.execute_script("ek.moment = arguments[0]", position)
        rows = {
            row.find_element(By.CSS_SELECTOR, ".key").text: row for row in page.find_elements(By.CSS_SELECTOR, ".row")
        }
        for key, state in store.replay(account, as_of=position).items():
            assert rows[key].find_element(By.CSS_SELECTOR, ".cell").text == f"{state['balance']:,}"
        (lit,) = page.find_elements(By.CSS_SELECTOR, ".row.lit .key")
        assert lit.text == f"account-{(position - 1) % 3}"


def test_data_that_looks_like_markup_stays_data(page: webdriver.Chrome) -> None:
    assert MARKUP in one(page, ".panel").text
    assert page.find_elements(By.CSS_SELECTOR, "img") == []
    assert page.title == "account, as of position 30"


def test_keys_travel(page: webdriver.Chrome) -> None:
    for key, position in [
        *((Keys.HOME, 0), (Keys.ARROW_RIGHT, 1), (Keys.ARROW_RIGHT, 2), (Keys.ARROW_LEFT, 1)),
        *((Keys.END, 30), (Keys.PAGE_UP, 27), (Keys.PAGE_DOWN, 30)),
    ]:
        press(page, key)
        assert moment(page) == position


def test_shift_and_an_arrow_stay_with_the_key(page: webdriver.Chrome) -> None:
    page.execute_script("ek.moment = 10")
    actions = webdriver.ActionChains(page).key_down(Keys.SHIFT)
    actions.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    actions.key_up(Keys.SHIFT).perform()
    assert moment(page) == 7
    assert one(page, ".row.chosen .key").text == "account-0"


def test_the_playhead_is_dragged(page: webdriver.Chrome) -> None:
    strip = one(page, ".strip")
    actions = webdriver.ActionChains(page).move_to_element(strip).click_and_hold()
    actions.move_by_offset(-200, 0).move_by_offset(10, 0).release().perform()
    until(page, lambda b: moment(b) < 15)
    middle = moment(page)
    webdriver.ActionChains(page).move_to_element(strip).move_by_offset(250, 0).click().perform()
    assert moment(page) > middle


def test_it_plays_and_pauses(page: webdriver.Chrome) -> None:
    press(page, Keys.HOME, " ")
    until(page, lambda b: moment(b) >= 2)
    press(page, " ")
    assert "play" in one(page, ".go").text
    page.execute_script("const one = document.querySelector('.play select'); one.value = '100'; one.focus()")
    press(page, Keys.ESCAPE)
    press(page, " ")
    until(page, lambda b: moment(b) == 30)


def test_a_search_goes_to_the_first_state_that_satisfies_it_and_to_the_next(
    page: webdriver.Chrome, store: ek.EventStore, account: ek.Projection
) -> None:
    press(page, "/", *"balance > 10 and last = refunded", Keys.ENTER)
    history = store.history(account)
    first = history.first(lambda state: state["balance"] > 10 and state["last"] == "refunded")
    assert first is not None
    assert moment(page) == first.position
    press(page, Keys.ENTER)
    assert moment(page) > first.position
    press(page, Keys.ESCAPE, "N")
    assert moment(page) == first.position


def test_a_search_that_cannot_be_says_why(page: webdriver.Chrome) -> None:
    press(page, "/", *"balnce < 3")
    assert "there is no “balnce”" in one(page, ".found").text


def test_a_second_playhead_shows_the_difference(
    page: webdriver.Chrome, store: ek.EventStore, account: ek.Projection
) -> None:
    page.execute_script("ek.moment = 10")
    press(page, "c")
    page.execute_script("ek.moment = 14")
    shown = page.find_elements(By.CSS_SELECTOR, ".ek .panel")[2].text
    rows = store.history(account).diff(10, 14)
    assert "from position 10 to 14: 4 events, 3 keys changed" in shown
    for key, after in rows.loc[rows["field"] == "balance", ["key", "after"]].itertuples(index=False):
        assert key in shown
        assert f"{after}" in shown


def test_why_leads_to_the_event_that_set_a_field(page: webdriver.Chrome, store: ek.EventStore, account: Any) -> None:
    page.execute_script("ek.moment = 30")
    set_by = store.history(account).blame("account-2").set_index("field")["position"]
    why = page.find_elements(By.CSS_SELECTOR, ".ek .panel")[1]
    links = [link for link in why.find_elements(By.CSS_SELECTOR, "button.link") if "·" in link.text]
    assert [int(link.text.split(" ")[0]) for link in links] == set_by.tolist()
    links[0].click()
    assert moment(page) == set_by.iloc[0]


def test_closer_and_farther(page: webdriver.Chrome) -> None:
    span = "return ek.view.scale.to - ek.view.scale.from"
    whole = page.execute_script(span)
    press(page, "+", "+")
    assert page.execute_script(span) < whole / 2
    press(page, "0")
    assert page.execute_script(span) == whole


def test_help_opens_and_closes(page: webdriver.Chrome) -> None:
    press(page, "?")
    assert one(page, ".help").is_displayed()
    press(page, Keys.ESCAPE)
    assert not one(page, ".help").is_displayed()


def test_times_are_in_utc_or_in_the_viewers_zone_and_say_so(page: webdriver.Chrome) -> None:
    page.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Kolkata"})
    try:
        page.execute_script("ek.moment = 1")
        assert one(page, ".when").text == "Mon 5 Jan 2026 09:00:00 UTC"
        press(page, "t")
        assert one(page, ".when").text in (
            "Mon 5 Jan 2026 14:30:00 Asia/Calcutta",
            "Mon 5 Jan 2026 14:30:00 Asia/Kolkata",
        )
    finally:
        page.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": ""})


def test_it_goes_by_the_theme(page: webdriver.Chrome) -> None:
    ground = "return getComputedStyle(document.querySelector('.ek')).backgroundColor"
    light = page.execute_script(ground)
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    try:
        until(page, lambda b: b.execute_script(ground) != light)
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_screen_reader_is_told(page: webdriver.Chrome) -> None:
    press(page, Keys.HOME, Keys.ARROW_RIGHT)
    strip = one(page, ".strip")
    assert strip.get_attribute("role") == "slider"
    assert (strip.get_attribute("aria-valuemin"), strip.get_attribute("aria-valuemax")) == ("0", "30")
    said = "position 1, Mon 5 Jan 2026 09:00:00 UTC, Refunded in account-0"
    assert strip.get_attribute("aria-valuetext") == said
    until(page, lambda b: one(b, "[aria-live=polite]").get_attribute("textContent").startswith(said))
    unnamed = "return [...document.querySelectorAll('.ek button, .ek input, .ek select')]" + (
        ".filter((one) => !(one.getAttribute('aria-label') || one.textContent.trim())).length"
    )
    assert page.execute_script(unnamed) == 0


def test_nothing_is_cut_off_in_a_window_of_400_pixels(page: webdriver.Chrome) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    )
    try:
        until(page, lambda b: b.execute_script("return document.querySelector('.ek').classList.contains('narrow')"))
        assert page.execute_script("return document.documentElement.scrollWidth") <= 400
        press(page, Keys.HOME, Keys.ARROW_RIGHT)
        assert moment(page) == 1
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_two_histories_are_both_there_and_where_they_part(
    browser: webdriver.Chrome, store: ek.EventStore, account: ek.Projection, tmp_path: Path
) -> None:
    other = ek.Projection("account", fields={"balance": ek.fold.total("Paid", "amount")})
    one_, two = store.history(account), store.history(other)
    ek.explore(one_, two).save(tmp_path / "two.html")
    page = opened(browser, tmp_path / "two.html")
    first = ek.compare(one_, two).first()
    panel = page.find_elements(By.CSS_SELECTOR, ".ek .panel")[2]
    panel.find_element(By.CSS_SELECTOR, "button.link").click()
    assert moment(page) == first["one_position"]
