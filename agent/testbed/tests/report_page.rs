//! The report of a simulated run, as a real browser shows it.
//!
//! In: a page of made-up runs, and a page around it that measures.
//! Out: nothing overflows on a phone, every chart is there, dark is dark, and nothing but the
//! file itself is asked for.
//! Not here: the text of the page (`simulations/tests/report.rs`).

#[path = "report_page/made_up.rs"]
mod made_up;

use std::fs;
use std::path::Path;
use std::time::Duration;

use evenkeel_sim::report::{Run, page};
use evenkeel_testbed::process::{Process, Program};
use serde_json::Value;

/// A page takes two seconds; a busy machine took six times that.
const LIMIT: Duration = Duration::from_secs(90);

/// Shows the page in a frame as wide as a phone and in one as wide as a desk, opens all that is
/// folded, and writes down what the browser made of it.
const HARNESS: &str = r#"<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe id="phone" src="report.html" style="width:375px;height:812px;border:0"></iframe>
<iframe id="desk" src="report.html" style="width:1280px;height:900px;border:0"></iframe>
<pre id="out"></pre><script>
const measure = (frame) => {
  const page = frame.contentDocument, view = frame.contentWindow;
  for (const it of page.querySelectorAll("details")) it.open = true;
  const wide = page.documentElement.clientWidth;
  const outside = [...page.body.querySelectorAll("*")].filter((it) => {
    if (it.closest(".scroll, pre, .symbols, svg svg")) return false;
    const box = it.getBoundingClientRect();
    return box.width > 0 && (box.right > wide + 0.5 || box.left < -0.5);
  });
  const box = (it) => it.getBoundingClientRect();
  const charts = [...page.querySelectorAll("svg.chart")];
  const drawn = [...page.querySelectorAll("svg.chart svg > path")].map((it) => it.getBBox());
  const plot = charts[0];
  const at = box(plot);
  const note = plot.closest("figure").querySelector(".note");
  const before = note.textContent;
  plot.dispatchEvent(new view.PointerEvent("pointermove", { clientX: at.left + at.width / 2, clientY: at.top + 5 }));
  return {
    wide, scroll_width: page.documentElement.scrollWidth,
    outside: outside.map((it) => `${it.tagName}.${it.getAttribute("class")} ${it.textContent.slice(0, 40)}`),
    charts: charts.length,
    flat: charts.filter((it) => box(it).width < 200 || box(it).height < 80).length,
    drawn: drawn.filter((it) => it.width > 0 && it.height >= 0).length,
    small_text: [...page.querySelectorAll("svg.chart text, p, td, li")].filter((it) => parseFloat(view.getComputedStyle(it).fontSize) < 11).length,
    ground: view.getComputedStyle(page.body).backgroundColor,
    ink: view.getComputedStyle(page.body).color,
    title: page.title,
    viewport: page.querySelector("meta[name=viewport]")?.content ?? "",
    requests: view.performance.getEntriesByType("resource").map((it) => it.name),
    read_out: note.textContent !== before,
  };
};
addEventListener("load", () => {
  let found;
  try { found = { phone: measure(phone), desk: measure(desk) }; } catch (error) { found = { error: String(error) }; }
  out.textContent = "RESULT" + btoa(unescape(encodeURIComponent(JSON.stringify(found)))) + "END";
});
</script>"#;

/// What a run of the browser left.
struct Seen {
    measured: Value,
    /// Its complaints: errors of scripts, breaches of the content policy.
    console: Vec<String>,
}

const FILE: &str = "simulations/scenarios/zone-loss.yaml";

fn made_up_page() -> String {
    let runs = [made_up::run("evenkeel", 0, 6), made_up::run("hpa:70", 14, 6)];
    let runs = runs.each_ref().map(|it| Run { scorecard: &it.scorecard, timeline: &it.timeline });
    page("A zone is lost at noon", made_up::HOSTILE, FILE, &runs)
}

/// Whether the browser says that people prefer dark pages.
#[derive(Clone, Copy)]
enum Scheme {
    Dark,
    Light,
}

#[track_caller]
fn look(html: &str, scheme: Scheme) -> Seen {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("a temporary file can be written");
    };
    write("report.html", html);
    write("harness.html", HARNESS);
    let mut browser = Process::start(&browser(folder.path(), scheme));
    let status = browser.wait_exit(LIMIT);
    assert!(status.success(), "the browser ended with {status}{}", browser.log_tail());
    let dom = browser.stdout();
    let encoded = dom.split_once("RESULT").and_then(|(_, rest)| rest.split_once("END"));
    let Some((encoded, _)) = encoded.filter(|(it, _)| !it.contains('"')) else {
        panic!("the harness measured nothing{}", browser.log_tail())
    };
    let bytes = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, encoded)
        .expect("the harness writes base64");
    let measured: Value = serde_json::from_slice(&bytes).expect("the harness writes JSON");
    assert_eq!(measured["error"], Value::Null, "the harness failed");
    let errors = browser.stderr();
    let console = errors.lines().filter(|it| it.contains("CONSOLE")).map(str::to_owned).collect();
    Seen { measured, console }
}

fn browser(folder: &Path, scheme: Scheme) -> Program {
    let install = "run `make test-parts` (apt-get install chromium-headless-shell)";
    let scheme = match scheme {
        Scheme::Dark => "0",
        Scheme::Light => "1",
    };
    let profile = folder.join("profile");
    Program::installed("chromium-headless-shell", install)
        .args(["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update"])
        .arg("--host-resolver-rules=MAP * ~NOTFOUND")
        .args(["--allow-file-access-from-files", "--enable-logging=stderr"])
        .args(["--virtual-time-budget=5000", "--timeout=60000", "--window-size=1400,1000"])
        .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg("--dump-dom")
        .arg(format!("file://{}", folder.join("harness.html").display()))
}

/// What is wrong with a page; empty when nothing is.
fn faults(seen: &Seen) -> Vec<String> {
    let mut faults = seen.console.clone();
    for (name, wide) in [("phone", 375), ("desk", 1_280)] {
        let page = &seen.measured[name];
        let mut expect = |holds: bool, what: &str, found: &Value| {
            if !holds {
                faults.push(format!("{name}: {what}: {found}"));
            }
        };
        let none = |key: &str| page[key].as_array().is_some_and(Vec::is_empty);
        let number = |key: &str| page[key].as_u64().unwrap_or(0);
        let scroll = &page["scroll_width"];
        // A bar for scrolling down takes some of the frame.
        expect(number("wide") <= wide && wide - 20 <= number("wide"), "the frame", &page["wide"]);
        expect(number("scroll_width") <= number("wide"), "scrolls sideways", scroll);
        expect(none("outside"), "elements beyond the edge", &page["outside"]);
        // Two runs, six services, five charts each.
        expect(page["charts"] == 60, "charts", &page["charts"]);
        expect(page["flat"] == 0, "charts without a size", &page["flat"]);
        expect(100 <= number("drawn"), "series that are drawn", &page["drawn"]);
        expect(page["small_text"] == 0, "texts below 11 pixels", &page["small_text"]);
        expect(none("requests"), "requests", &page["requests"]);
        expect(page["title"] == "A zone is lost at noon", "title", &page["title"]);
        expect(page["read_out"] == true, "values cannot be read off", &page["read_out"]);
        let viewport = page["viewport"].as_str().unwrap_or("");
        expect(viewport.contains("width=device-width"), "viewport", &page["viewport"]);
    }
    faults
}

#[test]
fn a_phone_and_a_desk_show_the_whole_page_and_ask_for_nothing() {
    let light = look(&made_up_page(), Scheme::Light);
    assert_eq!(faults(&light), Vec::<String>::new());
    let dark = look(&made_up_page(), Scheme::Dark);
    assert_eq!(faults(&dark), Vec::<String>::new());
    for key in ["ground", "ink"] {
        let of = |seen: &Seen| seen.measured["phone"][key].clone();
        assert_ne!(of(&light), of(&dark), "{key} must differ between light and dark");
    }
}

/// The check above is worth nothing if it cannot fail.
#[test]
fn a_page_with_planted_faults_is_caught() {
    let planted = made_up_page()
        .replace("name=\"viewport\"", "name=\"nothing\"")
        .replace("<main>", "<main><div class=\"wide\"><svg width=\"900\" height=\"9\"></svg></div>")
        .replace(
            "</main>",
            "<img alt=\"\" src=\"https://example.com/a.png\"><script>x()</script></main>",
        );
    let faults = faults(&look(&planted, Scheme::Light)).join("\n");
    for fault in [
        "viewport",
        "phone: scrolls sideways",
        "phone: elements beyond the edge",
        "img-src",
        "script-src",
    ] {
        assert!(faults.contains(fault), "`{fault}` was not noticed in:\n{faults}");
    }
}
