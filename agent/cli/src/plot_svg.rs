//! A forecast and what came, as an SVG file that needs nothing else.
//!
//! **In:** a [`Picture`].
//! **Out:** the text of the file; readable on light and dark ground.
//! **Not here:** the same as characters, and the range of the axis (see [`crate::plot`]).

#![expect(clippy::cast_precision_loss, reason = "steps of a picture are far below 2^52")]

use std::fmt::Write as _;

use crate::plot::Picture;
use crate::table::number;

/// Size of the picture, and where the axes are in it, in the units of its view box.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 52.0;

/// Horizontal lines, with a label each.
const N_LINES: u32 = 5;

/// Colours for both grounds: `prefers-color-scheme` is that of whoever looks. Without variables,
/// which viewers other than browsers do not know.
const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #1f2933; }
.ground { fill: #ffffff; }
.title { font-size: 16px; font-weight: 600; }
.grid { stroke: #d5dbe1; stroke-width: 1; }
.origin { stroke: #1f2933; stroke-width: 1; stroke-dasharray: 4 4; }
.came { fill: none; stroke: #52606d; stroke-width: 1.5; }
.forecast { fill: none; stroke: #c2410c; stroke-width: 2; }
.interval { fill: #c2410c; fill-opacity: 0.18; stroke: none; }
@media (prefers-color-scheme: dark) {
  text { fill: #e4e7eb; }
  .ground { fill: #11161c; }
  .grid { stroke: #323f4b; }
  .origin { stroke: #e4e7eb; }
  .came { stroke: #9aa5b1; }
  .forecast { stroke: #fb923c; }
  .interval { fill: #fb923c; }
}
";

/// The text of the file.
pub(crate) fn draw(picture: &Picture<'_>) -> String {
    let (low, high) = picture.range();
    let n_steps = picture.n_steps();
    let x = |step: usize| LEFT + (WIDTH - LEFT - RIGHT) * step as f64 / (n_steps - 1) as f64;
    let y = |value: f64| {
        let share = ((high - value) / (high - low)).clamp(0.0, 1.0);
        TOP + (HEIGHT - TOP - BOTTOM) * share
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         role=\"img\" aria-label=\"forecast of {0}\">\n<style>\n{STYLE}</style>\n\
         <rect class=\"ground\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n\
         <text class=\"title\" x=\"{LEFT}\" y=\"24\">{0}</text>\n",
        escaped(picture.title),
    );
    for nth in 0..N_LINES {
        let value = low + (high - low) * f64::from(nth) / f64::from(N_LINES - 1);
        let at = y(value);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0,
            number(value),
        );
    }
    if let Some(band) = &picture.band {
        let ends = |ends: &[f64]| -> Vec<String> {
            let known = ends.iter().enumerate().filter(|(_, it)| it.is_finite());
            known
                .map(|(step, it)| format!("{:.1},{:.1}", x(picture.n_past + step), y(*it)))
                .collect()
        };
        let mut points = ends(&band.hi);
        points.extend(ends(&band.lo).into_iter().rev());
        let _ = writeln!(svg, "<polygon class=\"interval\" points=\"{}\"/>", points.join(" "));
    }
    let _ = writeln!(svg, "<path class=\"came\" d=\"{}\"/>", path(picture.values, 0, &x, &y));
    let forecast = path(&picture.mean, picture.n_past, &x, &y);
    let _ = writeln!(svg, "<path class=\"forecast\" d=\"{forecast}\"/>");
    let origin = x(picture.n_past);
    let _ = writeln!(
        svg,
        "<line class=\"origin\" x1=\"{origin:.1}\" x2=\"{origin:.1}\" y1=\"{TOP}\" y2=\"{}\"/>",
        HEIGHT - BOTTOM
    );
    let [begins, forecast, ends] = &picture.times;
    let below = HEIGHT - BOTTOM + 20.0;
    for (text, at, anchor) in
        [(begins, LEFT, "start"), (forecast, origin, "middle"), (ends, WIDTH - RIGHT, "end")]
    {
        let _ = writeln!(
            svg,
            "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"{anchor}\">{}</text>",
            escaped(text)
        );
    }
    legend(&mut svg, picture);
    svg.push_str("</svg>\n");
    svg
}

fn legend(svg: &mut String, picture: &Picture<'_>) {
    let y = 42.0;
    let interval =
        picture.band.as_ref().map(|it| format!("{}% interval", crate::forecast::percent(it.level)));
    let entries = [
        ("came", Some("what came".to_owned())),
        ("forecast", Some("forecast".to_owned())),
        ("interval", interval),
    ];
    let mut x = LEFT;
    for (class, text) in entries {
        let Some(text) = text else { continue };
        let _ = if class == "interval" {
            writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{x}\" y=\"{}\" width=\"24\" height=\"10\"/>",
                y - 9.0
            )
        } else {
            writeln!(svg, "<path class=\"{class}\" d=\"M{x} {0}h24\"/>", y - 4.0)
        };
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{y}\">{text}</text>", x + 32.0);
        x += 140.0;
    }
}

/// Lines through the known values; a gap interrupts them.
fn path(values: &[f64], from: usize, x: &dyn Fn(usize) -> f64, y: &dyn Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let mut is_open = false;
    for (step, value) in values.iter().enumerate() {
        if !value.is_finite() {
            is_open = false;
            continue;
        }
        let verb = if is_open { 'L' } else { 'M' };
        let _ = write!(path, "{verb}{:.1} {:.1}", x(from + step), y(*value));
        is_open = true;
    }
    path
}

/// Text that cannot end an attribute or begin an element.
fn escaped(text: &str) -> String {
    crate::terminal::visible(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
