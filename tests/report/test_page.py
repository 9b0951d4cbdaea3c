"""The page in a real browser: sorting, hovering, filtering, themes, hostile texts, size."""

from __future__ import annotations

import functools
import itertools
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lmms_manu.report.comparison import compare
from lmms_manu.report.page.build import render
from lmms_manu.report.runs import read_runs

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
QUESTIONS = 20_000
SECONDS_TO_OPEN = 10
RATIO = "<img src onerror>&amp; a/b"  # the name of a run
VIEW = ".view[data-view=mean] .split:first-child"

needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver (Debian: chromium, chromium-driver)"
)
pytestmark = needs_browser


class Browser:
    """A headless Chromium without a network of its own choice."""

    def __init__(self) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,1000"):
            options.add_argument(word)
        options.binary_location = str(CHROMIUM)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))

    def open(self, page: Path, fragment: str = "") -> float:
        """Opens a page from disk; returns the seconds until it was ready."""
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        started = time.monotonic()
        self.driver.get(page.as_uri() + fragment)
        self.wait(lambda: self.script("return document.documentElement.dataset.ready === 'true'"), 60)
        return time.monotonic() - started

    def script(self, code: str, *arguments: Any) -> Any:
        return self.driver.execute_script(code, *arguments)

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        return self.script(
            "return [...document.querySelectorAll(arguments[0])].map((element) => element.textContent.trim())", selector
        )

    def wait(self, condition: Callable[[], Any], seconds: float = 20) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, "the page did not get there in time"
            time.sleep(0.05)
        return found

    def emulate(self, **features: str) -> None:
        media = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})

    def resize(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def requested(self) -> set[str]:
        messages = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        sent = (message for message in messages if message["method"] == "Network.requestWillBeSent")
        return {message["params"]["request"]["url"].split(":", 1)[0] for message in sent}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    started = Browser()
    yield started
    started.driver.quit()


@pytest.fixture(scope="module")
def page(written: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    places = [f"{RATIO}={written / 'ratio'}", str(written / "vanilla"), str(written / "paper")]
    runs = read_runs(places)
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(render(compare(runs, resamples=200), {"mllmu": str(dataset)}), encoding="utf-8")
    return file


@pytest.fixture
def opened(browser: Browser, page: Path) -> Browser:
    browser.emulate(prefers_color_scheme="light")
    browser.resize(1400, 1000)
    browser.open(page)
    return browser


def sort_button(browser: Browser, table: str, label: str) -> Any:
    heads = browser.all(f"{table} thead th")
    head = next(head for head in heads if head.text.startswith(label))
    return head.find_element("css selector", ".dt-column-order")


def first_column(browser: Browser, table: str) -> list[str]:
    return [text.splitlines()[0] for text in browser.texts(f"{table} tbody tr > th")]


def test_the_page_opens_from_disk_without_network_and_without_complaints(opened: Browser) -> None:
    # A plot is drawn when it comes into sight.
    plots = opened.all(".plot")
    for plot in (plots[0], plots[-1]):
        opened.script("arguments[0].scrollIntoView()", plot)
        opened.wait(functools.partial(plot.find_elements, "css selector", "svg"))
    assert opened.requested() <= {"file", "blob", "data"}
    assert opened.complaints() == []


def test_a_click_on_a_heading_sorts(opened: Browser) -> None:
    names = first_column(opened, VIEW)
    assert names[0] == "vanilla"
    sort_button(opened, VIEW, "Cloze").click()
    opened.wait(lambda: opened.all(f"{VIEW} th[aria-sort=ascending]"))
    column = opened.texts(f"{VIEW} tbody tr td:nth-of-type(4) .value")
    assert column == sorted(column, key=float)
    sort_button(opened, VIEW, "Cloze").click()
    opened.wait(lambda: opened.all(f"{VIEW} th[aria-sort=descending]"))
    assert opened.texts(f"{VIEW} tbody tr td:nth-of-type(4) .value") == column[::-1]


def test_the_keyboard_sorts_too(opened: Browser) -> None:
    from selenium.webdriver.common.keys import Keys

    button = sort_button(opened, VIEW, "Cloze")
    assert button.get_attribute("tabindex") == "0"
    assert button.get_attribute("role") == "button"
    button.send_keys(Keys.ENTER)
    opened.wait(lambda: opened.all(f"{VIEW} th[aria-sort=ascending]"))


def test_the_first_screen_has_the_verdict_the_frontier_and_the_compact_table(opened: Browser) -> None:
    opened.resize(1280, 1000)
    opened.wait(lambda: opened.all(".frontier svg"))
    said = " ".join(opened.texts(".verdict"))
    assert "manu paper 2 % went" in said
    assert "of the way to guessing" in said
    names = opened.texts(".frontier svg .mark-text text")
    boxes = opened.script(
        """
        const kinds = ['.mark-text.role-mark text', '.mark-symbol.role-mark path'].map((one) => `.frontier ${one}`);
        const boxes = [...document.querySelectorAll(kinds.join(', '))].map((mark) => mark.getBoundingClientRect());
        return boxes.map((box) => [box.left, box.top, box.right, box.bottom])
        """
    )
    assert len(boxes) == 7
    for one, other in itertools.combinations(boxes, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] + 3 or other[3] <= one[1] + 3
    assert {"vanilla", "manu paper 2 %", RATIO, "forgets much, costs little"} <= set(names)
    tops = opened.script(
        "return ['.verdict', '.frontier', '.first table'].map((one) => "
        "document.querySelector(one).getBoundingClientRect().top + scrollY)"
    )
    assert tops == sorted(tops)
    assert tops[-1] < 1000
    heads = " ".join(opened.texts(".first .sortable thead th"))
    for head in ("Share forgotten", "test", "Retain cost", "Celebrity cost"):
        assert head in heads
    region = "[...document.querySelectorAll('.first .scroll')].at(-1)"
    assert opened.script(f"return {region}.scrollWidth <= {region}.clientWidth")


def test_hovering_over_a_point_shows_its_numbers(opened: Browser) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    opened.wait(lambda: opened.all(".frontier svg .mark-symbol path"))
    opened.script("document.querySelector('.frontier').scrollIntoView({block: 'center', behavior: 'instant'})")
    ActionChains(opened.driver).move_to_element(opened.all(".frontier svg .mark-symbol path")[-1]).perform()
    tooltip = opened.wait(lambda: opened.all("#vg-tooltip-element.visible"))[0]
    assert "points lost" in tooltip.text


def test_a_link_lands_on_its_target_while_plots_are_still_drawn(opened: Browser) -> None:
    top = "return document.getElementById('questions').getBoundingClientRect().top"
    above = "return document.getElementById('questions').getBoundingClientRect().top + scrollY"
    # Chromium by itself holds on to what is in sight; not every browser does.
    opened.script("document.documentElement.style.overflowAnchor = 'none'")
    opened.find("nav a[href='#questions']").click()
    opened.wait(lambda: abs(opened.script(top)) < 20)
    before = opened.script(above)
    # Whatever is drawn now, is drawn late; on paper that is everything.
    opened.script("dispatchEvent(new Event('beforeprint'))")
    opened.wait(lambda: len(opened.all(".plot svg")) == len(opened.all(".plot")))
    assert opened.script(above) > before + 100, "nothing has grown above the target"
    assert abs(opened.script(top)) < 20


def test_hovering_over_a_line_of_activations_shows_its_small_numbers(opened: Browser) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    (figure,) = [one for one in opened.all("figure") if one.text.startswith("Activations of the neurons, language")]
    opened.script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", figure)
    point = opened.wait(lambda: figure.find_elements("css selector", "svg .mark-symbol.role-mark path"))[0]
    ActionChains(opened.driver).move_to_element(point).perform()
    tooltip = opened.wait(lambda: opened.all("#vg-tooltip-element.visible"))[0]
    assert "0.00316" in tooltip.text
    assert opened.script("return arguments[0].querySelector('details').textContent.includes('0.00316')", figure)


def test_every_plot_has_its_numbers_as_a_table_and_a_name(opened: Browser) -> None:
    figures = opened.all("figure")
    assert len(figures) >= 8
    for figure in figures:
        assert figure.find_element("css selector", "figcaption").text
        assert figure.find_elements("css selector", "details table tbody tr")


def test_a_plot_can_be_saved_from_the_page(opened: Browser, tmp_path: Path) -> None:
    opened.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    for kind in ("svg", "png"):
        opened.find(f".frontier button[data-kind={kind}]").click()
        opened.wait((tmp_path / f"frontier-10.{kind}").exists)
    assert "manu paper 2 %" in (tmp_path / "frontier-10.svg").read_text(encoding="utf-8")


def test_every_plot_is_drawn_on_paper(opened: Browser) -> None:
    plots = opened.all(".plot")
    assert len(opened.all(".plot svg")) < len(plots)
    opened.driver.execute_cdp_cmd("Page.printToPDF", {})
    assert len(opened.all(".plot svg")) == len(plots)


def test_the_table_of_runs_names_the_checkpoint_that_the_default_was(opened: Browser) -> None:
    rows = opened.texts("#runs tbody tr")
    assert "MLLMMU/LLaVA_Vanilla" in next(row for row in rows if row.startswith("manu paper"))


def test_dark_and_light_follow_the_system_until_the_reader_chooses(opened: Browser) -> None:
    background = "return getComputedStyle(document.body).backgroundColor"
    light = opened.script(background)
    opened.emulate(prefers_color_scheme="dark")
    dark = opened.wait(lambda: (found := opened.script(background)) != light and found)
    assert opened.find("#theme").get_attribute("aria-pressed") == "true"
    opened.find("#theme").click()
    assert opened.script(background) == light
    assert dark == "rgb(20, 24, 29)"


def test_the_views_show_one_modality_at_a_time(opened: Browser) -> None:
    shown = "return [...document.querySelectorAll('.view')].filter((v) => !v.hidden).map((v) => v.dataset.view)"
    assert opened.script(shown) == ["mean"]
    opened.find(".views input[value=text]").click()
    assert opened.script(shown) == ["text"]


@pytest.mark.parametrize("name", ["manu paper 2 %", RATIO])
def test_a_number_leads_to_its_questions_side_by_side(opened: Browser, name: str) -> None:
    row = first_column(opened, VIEW).index(name)
    opened.all(f"{VIEW} tbody tr")[row].find_element("css selector", "td:nth-of-type(4) a.value").click()
    opened.wait(lambda: opened.script("return document.activeElement.id") == "questions-title")
    heads = [text for text in opened.texts("#answers thead th") if text]
    assert heads == ["Person", "Question", "Target", "vanilla", name]
    assert "Cloze" in opened.script("return document.getElementById('selection').selectedOptions[0].text")
    assert opened.all("#answers tbody tr")
    assert opened.all("#answers tbody img[src^='data:image/jpeg']")


def test_an_address_of_questions_can_be_opened_and_gone_back_from(browser: Browser, page: Path) -> None:
    address = "#questions/10/retain.classification/text/manu%20paper%202%20%25"
    browser.open(page, address)
    assert browser.script("return document.getElementById('selection').value") == "10/retain.classification/text"
    assert browser.texts("#count") == ["175 of 175 questions"]


def test_an_address_of_questions_that_there_are_not_changes_nothing(browser: Browser, page: Path) -> None:
    browser.open(page, "#questions/15/retain.classification/text/vanilla")
    assert browser.script("return document.getElementById('selection').value") == "10/forget.classification/mean"
    assert browser.complaints() == []


def test_answers_can_be_filtered_by_what_changed(opened: Browser) -> None:
    link = opened.all(f"{VIEW} tbody tr")[1].find_element("css selector", "td a.value")
    link.click()
    everything = int(opened.texts("#count")[0].split()[0])
    opened.find("#filter option[value=changed]").click()
    changed = int(opened.texts("#count")[0].split()[0])
    assert 0 < changed < everything
    rows = opened.script(
        """
        const rows = [...document.querySelectorAll('#answers tbody tr')];
        return rows.map((row) => [...row.cells].slice(-2).map((cell) => cell.textContent))
        """
    )
    assert all(one != other for one, other in rows)
    opened.find("#filter option[value=worse]").click()
    assert int(opened.texts("#count")[0].split()[0]) == changed


def test_the_texts_can_be_searched(opened: Browser) -> None:
    search = opened.find("#answers input[type=search]")
    search.send_keys("I cannot say")
    opened.wait(lambda: all("I cannot say" in text for text in opened.texts("#answers tbody tr")))


def test_hostile_texts_are_shown_as_texts(opened: Browser) -> None:
    opened.find("#filter option[value=changed]").click()
    assert any("<script>window.hacked = true</script>" in text for text in opened.texts("#answers tbody td"))
    assert RATIO in first_column(opened, VIEW)
    assert RATIO in opened.texts("#answers thead th")
    assert opened.script("return window.hacked") is None
    assert opened.all("img[src=''], img[src=x]") == []
    assert opened.complaints() == []


def test_injected_scripts_would_not_run(opened: Browser) -> None:
    opened.script(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.hacked = 1'}));"
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hacked = 2\">')"
    )
    time.sleep(0.3)
    assert opened.script("return window.hacked") is None


def test_the_page_fits_a_phone(opened: Browser) -> None:
    opened.resize(390, 800)
    opened.wait(lambda: opened.script("return innerWidth") == 390)
    assert opened.script("return document.documentElement.scrollWidth") <= 390
    display = "return getComputedStyle(document.querySelector('#answers tbody td')).display"
    assert opened.script(display) == "block"
    label = "return getComputedStyle(document.querySelector('#answers tbody td'), '::before').content"
    assert opened.script(label) == '"Person"'


def test_everything_has_a_name_for_screen_readers(opened: Browser) -> None:
    unnamed = opened.script(
        """
        const named = (e) => e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim() || e.alt;
        return [...document.querySelectorAll('a, button, input, select, img, [role=region]')]
          .filter((e) => !named(e)).map((e) => e.outerHTML.slice(0, 120))
        """
    )
    assert unnamed == []
    assert opened.script("return document.documentElement.lang") == "en"
    assert len(opened.all("h1")) == 1
    assert opened.all("main")
    assert opened.texts("[role=status]")


def test_without_samples_the_page_has_its_tables_and_says_why_there_are_no_questions(
    results: Path, browser: Browser, tmp_path: Path
) -> None:
    for file in results.glob("**/*.jsonl"):
        file.unlink()
    page = tmp_path / "report.html"
    runs = read_runs([str(results / "vanilla"), str(results / "paper")])
    page.write_text(render(compare(runs, resamples=10)), encoding="utf-8")
    browser.open(page)
    assert len(browser.all(f"{VIEW} tbody tr")) == 2
    assert "--log_samples" in browser.find("#questions").text
    assert browser.complaints() == []


def multiply(folder: Path, task: str, times: int) -> int:
    """Makes the samples of a task so many times as many, of other people with the same answers."""
    file = next(folder.glob(f"**/*_samples_{task}.jsonl"))
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    with file.open("w", encoding="utf-8") as out:
        for copy in range(times):
            for line in lines:
                scored = {**line["scored"], "person": f"{copy}-{line['scored']['person']}"}
                out.write(json.dumps({**line, "doc_id": f"{copy}-{line['doc_id']}", "scored": scored}) + "\n")
    results = next(folder.glob("**/*_results.json"))
    content = json.loads(results.read_text(encoding="utf-8"))
    content["n-samples"][task] = {"original": len(lines) * times, "effective": len(lines) * times}
    results.write_text(json.dumps(content), encoding="utf-8")
    return len(lines) * times


def test_twenty_thousand_questions_in_three_runs_open_within_seconds(
    results: Path, browser: Browser, tmp_path: Path
) -> None:
    tasks = [
        f"mllmu_retain_10_{task}_{mode}" for task in ("classification", "cloze") for mode in ("multimodal", "text")
    ]
    places = [results / name for name in ("vanilla", "paper", "ratio")]
    total = 0
    for place in places:
        total = sum(multiply(place, task, 42) for task in tasks)
    assert total >= QUESTIONS
    report = compare(read_runs([str(place) for place in places]), resamples=100)
    page = tmp_path / "report.html"
    page.write_text(render(report), encoding="utf-8")
    browser.resize(1400, 1000)
    assert browser.open(page) < SECONDS_TO_OPEN
    started = time.monotonic()
    browser.find("#selection option[value='10/retain.classification/mean']").click()
    browser.find("#filter option[value=changed]").click()
    browser.wait(lambda: "14700 questions" in browser.texts("#count")[0])
    assert time.monotonic() - started < SECONDS_TO_OPEN
    assert browser.complaints() == []
