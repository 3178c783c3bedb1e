//! A forecast and what came, as characters.
//!
//! **In:** a [`Picture`].
//! **Out:** lines of braille dots: past and truth as a fine line, the forecast as bullets, the
//! interval as shade.
//! **Not here:** the same as a file (see [`crate::plot_svg`]), what is in the picture (see
//! [`crate::backtest`]).

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "positions on a canvas of thousands of dots, clamped to it"
)]

use std::ops::RangeInclusive;

use evenkeel_forecast::batch::Band;

use crate::table::number;
use crate::terminal::visible;

/// Characters of the canvas. Why 72 and 16: with its labels it fits a terminal of 90 columns.
const WIDTH: usize = 72;
const HEIGHT: usize = 16;

/// Dots of one character.
const DOTS_ACROSS: usize = 2;
const DOTS_DOWN: usize = 4;

/// The bit of each dot of a braille character, by row and column (Unicode 15, section 21.1).
const BITS: [[u32; DOTS_ACROSS]; DOTS_DOWN] =
    [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// Past, forecast and truth of one series.
#[derive(Clone, Debug)]
pub(crate) struct Picture<'a> {
    /// Name of the series.
    pub(crate) title: &'a str,
    /// Past and truth; NaN for a gap.
    pub(crate) values: &'a [f64],
    /// How many of `values` are past.
    pub(crate) n_past: usize,
    /// The forecast after the past.
    pub(crate) mean: Vec<f64>,
    /// Its widest interval.
    pub(crate) band: Option<Band>,
    /// When the picture begins, the forecast begins, and the picture ends.
    pub(crate) times: [String; 3],
}

impl Picture<'_> {
    /// Steps from left to right.
    pub(crate) fn n_steps(&self) -> usize {
        self.values.len().max(self.n_past + self.mean.len()).max(2)
    }

    /// The least and the largest value to draw, which differ and are finite.
    ///
    /// An interval far wider than everything else is cut off: it would hide the rest.
    pub(crate) fn range(&self) -> (f64, f64) {
        let all = self.values.iter().chain(&self.mean).copied().filter(|it| it.is_finite());
        let (lo, hi) = all.fold((f64::MAX, f64::MIN), |(lo, hi), it| (lo.min(it), hi.max(it)));
        if hi < lo {
            return (0.0, 1.0);
        }
        let slack = (hi - lo).max(hi.abs() * 1e-3).max(1e-9);
        let (mut low, mut high) = (lo, hi);
        if let Some(band) = &self.band {
            let finite = |it: &&f64| it.is_finite();
            low = band.lo.iter().filter(finite).fold(low, |low, it| low.min(*it));
            high = band.hi.iter().filter(finite).fold(high, |high, it| high.max(*it));
        }
        let (low, high) = (low.max(lo - slack), high.min(hi + slack));
        if low < high { (low, high) } else { (low - slack, high + slack) }
    }
}

/// Draws it, without a line break at the end.
pub(crate) fn draw(picture: &Picture<'_>) -> String {
    let canvas = Canvas::of(picture);
    let (low, high) = picture.range();
    let labels = [number(high), number((low + high) / 2.0), number(low)];
    let width = labels.iter().map(|it| it.chars().count()).max().unwrap_or(0);
    let [top, middle, bottom] = &labels;
    let mut lines = vec![visible(picture.title)];
    for row in 0..HEIGHT {
        let label = match row {
            0 => top.as_str(),
            it if it == HEIGHT / 2 => middle,
            it if it == HEIGHT - 1 => bottom,
            _ => "",
        };
        let cells: String = (0..WIDTH).map(|column| canvas.cell(column, row)).collect();
        lines.push(format!("{label:>width$} ┤{cells}").trim_end().to_owned());
    }
    let [begins, forecast, ends] = &picture.times;
    lines.push(format!("{:width$} └{}", "", "─".repeat(WIDTH)));
    let between = |left: usize| " ".repeat(left);
    let middle_at = canvas.origin / DOTS_ACROSS;
    let gap_one = middle_at.saturating_sub(begins.chars().count());
    let used = begins.chars().count() + gap_one + forecast.chars().count();
    let gap_two = WIDTH.saturating_sub(used + ends.chars().count()).max(1);
    lines.push(format!(
        "{:width$}  {begins}{}{forecast}{}{ends}",
        "",
        between(gap_one),
        between(gap_two)
    ));
    let interval = picture.band.as_ref().map_or(String::new(), |it| {
        format!("   ░ {:.4}% interval", it.level * 100.0).replace(".0000", "")
    });
    lines.push(format!("{:width$}  ⠤ what came   • forecast{interval}", ""));
    lines.join("\n")
}

/// Layers of a drawing: the finest one that has something in a cell is shown.
struct Canvas {
    dots: Vec<u32>,
    bullets: Vec<bool>,
    shade: Vec<bool>,
    /// Dots left of the forecast.
    origin: usize,
}

impl Canvas {
    fn of(picture: &Picture<'_>) -> Canvas {
        let mut canvas = Canvas {
            dots: vec![0; WIDTH * HEIGHT],
            bullets: vec![false; WIDTH * HEIGHT],
            shade: vec![false; WIDTH * HEIGHT],
            origin: 0,
        };
        let (low, high) = picture.range();
        let n_steps = picture.n_steps();
        let across = |step: usize| step * (WIDTH * DOTS_ACROSS - 1) / (n_steps - 1);
        let down = |value: f64| {
            let share = ((high - value) / (high - low)).clamp(0.0, 1.0);
            (share * (HEIGHT * DOTS_DOWN - 1) as f64).round() as usize
        };
        canvas.origin = across(picture.n_past);
        let mut before: Option<(usize, usize)> = None;
        for (step, value) in picture.values.iter().enumerate() {
            if !value.is_finite() {
                before = None;
                continue;
            }
            let to = (across(step), down(*value));
            canvas.line(before.unwrap_or(to), to);
            before = Some(to);
        }
        for (step, mean) in picture.mean.iter().enumerate() {
            if !mean.is_finite() {
                continue;
            }
            let column = across(picture.n_past + step) / DOTS_ACROSS;
            canvas.mark(column, down(*mean) / DOTS_DOWN);
            let Some(band) = &picture.band else { continue };
            if let Some((lo, hi)) = band.lo.get(step).zip(band.hi.get(step)) {
                // Up to the next step, so that few steps are no stripes.
                let next = across(picture.n_past + step + 1) / DOTS_ACROSS;
                for column in column..next.clamp(column + 1, WIDTH) {
                    canvas.shade(column, down(*hi) / DOTS_DOWN..=down(*lo) / DOTS_DOWN);
                }
            }
        }
        canvas
    }

    fn mark(&mut self, column: usize, row: usize) {
        if let Some(bullet) = self.bullets.get_mut(row * WIDTH + column) {
            *bullet = true;
        }
    }

    fn shade(&mut self, column: usize, rows: RangeInclusive<usize>) {
        for row in rows {
            if let Some(shade) = self.shade.get_mut(row * WIDTH + column) {
                *shade = true;
            }
        }
    }

    /// Dots from one point to another, without holes.
    fn line(&mut self, from: (usize, usize), to: (usize, usize)) {
        let n = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
        for nth in 0..=n {
            let between = |from: usize, to: usize| (from * (n - nth) + to * nth + n / 2) / n;
            let (x, y) = (between(from.0, to.0), between(from.1, to.1));
            let bit = BITS.get(y % DOTS_DOWN).and_then(|it| it.get(x % DOTS_ACROSS));
            let cell = self.dots.get_mut(y / DOTS_DOWN * WIDTH + x / DOTS_ACROSS);
            if let (Some(bit), Some(cell)) = (bit, cell) {
                *cell |= bit;
            }
        }
    }

    fn cell(&self, column: usize, row: usize) -> char {
        let at = row * WIDTH + column;
        let is = |layer: &[bool]| layer.get(at).copied().unwrap_or(false);
        match self.dots.get(at).copied().unwrap_or(0) {
            _ if is(&self.bullets) => '•',
            0 if is(&self.shade) => '░',
            0 => ' ',
            dots => char::from_u32(0x2800 + dots).unwrap_or(' '),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    /// A triangle wave with a gap, and a flat forecast of it.
    fn triangle(values: &mut Vec<f64>) -> Picture<'_> {
        values.extend((0..36).map(|it| f64::from((it % 12 - 6_i32).abs())));
        for gap in values.iter_mut().skip(8).take(3) {
            *gap = f64::NAN;
        }
        let band = Band { level: 0.95, lo: vec![1.0; 12], hi: vec![5.0; 12] };
        Picture {
            title: "load & <more>",
            values,
            n_past: 24,
            mean: vec![3.0; 12],
            band: Some(band),
            times: ["0", "24", "36"].map(str::to_owned),
        }
    }

    #[test]
    fn past_truth_forecast_and_interval_can_be_told_apart() {
        expect![[r#"
            load & <more>
            6.0 ┤⢣                       ⡜⡄                      ⢠⢣
                ┤⠈⢆                     ⡜ ⠱⡀                    ⢠⠃⠈⢆
                ┤ ⠘⡄                   ⡜   ⢣                   ⢠⠃ ░⠘⡄░░░░░░░░░░░░░░░░░░░⢀
                ┤  ⠱⡀                      ⠈⢆                 ⢀⠎  ░░⠱⡀░░░░░░░░░░░░░░░░░⢀⠎
                ┤   ⢣                       ⠘⡄                ⡜   ░░░⢣░░░░░░░░░░░░░░░░⢀⠎░
                ┤    ⢇                       ⠸⡀              ⡸    ░░░░⢇░░░░░░░░░░░░░░⢀⠎░░
                ┤    ⠘⡄                       ⢣             ⢠⠃    ░░░░⠘⡄░░░░░░░░░░░░░⡜░░░
                ┤     ⠸⡀                       ⢇           ⢀⠇     ░░░░░⠸⡀░░░░░░░░░░░⡸░░░░
            3.0 ┤      ⢣                       ⠘⡄          ⡜      •░•░•░•░•░•░•░•░•⢠•░•░•
                ┤       ⢇                       ⠸⡀        ⡸       ░░░░░░░⢇░░░░░░░░⢀⠇░░░░░
                ┤       ⠈⡆                       ⢱       ⢰⠁       ░░░░░░░⠈⡆░░░░░░░⡎░░░░░░
                ┤        ⠸⡀                       ⢇     ⢀⠇        ░░░░░░░░⠸⡀░░░░░⡸░░░░░░░
                ┤         ⢱                       ⠈⡆    ⡎         ░░░░░░░░░⢱░░░░⢰⠁░░░░░░░
                ┤          ⢇  ⢀⠆                   ⠸⡀  ⡸          ░░░░░░░░░░⢇░░⢀⠇░░░░░░░░
                ┤          ⠈⡆ ⡎                     ⢱ ⢰⠁                    ⠈⡆ ⡎
              0 ┤           ⠘⡜                       ⢣⠃                      ⠘⡜
                └────────────────────────────────────────────────────────────────────────
                 0                                                24                   36
                 ⠤ what came   • forecast   ░ 95% interval"#]]
        .assert_eq(&draw(&triangle(&mut Vec::new())));
    }

    #[test]
    fn the_same_as_a_file() {
        expect![[r#"
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 420" role="img" aria-label="forecast of load &amp; &lt;more&gt;">
            <style>
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
            </style>
            <rect class="ground" width="960" height="420"/>
            <text class="title" x="80" y="24">load &amp; &lt;more&gt;</text>
            <line class="grid" x1="80" x2="940" y1="368.0" y2="368.0"/><text x="72" y="372.0" text-anchor="end">0</text>
            <line class="grid" x1="80" x2="940" y1="290.0" y2="290.0"/><text x="72" y="294.0" text-anchor="end">1.5</text>
            <line class="grid" x1="80" x2="940" y1="212.0" y2="212.0"/><text x="72" y="216.0" text-anchor="end">3.0</text>
            <line class="grid" x1="80" x2="940" y1="134.0" y2="134.0"/><text x="72" y="138.0" text-anchor="end">4.5</text>
            <line class="grid" x1="80" x2="940" y1="56.0" y2="56.0"/><text x="72" y="60.0" text-anchor="end">6.0</text>
            <polygon class="interval" points="669.7,108.0 694.3,108.0 718.9,108.0 743.4,108.0 768.0,108.0 792.6,108.0 817.1,108.0 841.7,108.0 866.3,108.0 890.9,108.0 915.4,108.0 940.0,108.0 940.0,316.0 915.4,316.0 890.9,316.0 866.3,316.0 841.7,316.0 817.1,316.0 792.6,316.0 768.0,316.0 743.4,316.0 718.9,316.0 694.3,316.0 669.7,316.0"/>
            <path class="came" d="M80.0 56.0L104.6 108.0L129.1 160.0L153.7 212.0L178.3 264.0L202.9 316.0L227.4 368.0L252.0 316.0M350.3 108.0L374.9 56.0L399.4 108.0L424.0 160.0L448.6 212.0L473.1 264.0L497.7 316.0L522.3 368.0L546.9 316.0L571.4 264.0L596.0 212.0L620.6 160.0L645.1 108.0L669.7 56.0L694.3 108.0L718.9 160.0L743.4 212.0L768.0 264.0L792.6 316.0L817.1 368.0L841.7 316.0L866.3 264.0L890.9 212.0L915.4 160.0L940.0 108.0"/>
            <path class="forecast" d="M669.7 212.0L694.3 212.0L718.9 212.0L743.4 212.0L768.0 212.0L792.6 212.0L817.1 212.0L841.7 212.0L866.3 212.0L890.9 212.0L915.4 212.0L940.0 212.0"/>
            <line class="origin" x1="669.7" x2="669.7" y1="56" y2="368"/>
            <text x="80.0" y="388" text-anchor="start">0</text>
            <text x="669.7" y="388" text-anchor="middle">24</text>
            <text x="940.0" y="388" text-anchor="end">36</text>
            <path class="came" d="M80 38h24"/>
            <text x="112" y="42">what came</text>
            <path class="forecast" d="M220 38h24"/>
            <text x="252" y="42">forecast</text>
            <rect class="interval" x="360" y="33" width="24" height="10"/>
            <text x="392" y="42">95% interval</text>
            </svg>
        "#]].assert_eq(&crate::plot_svg::draw(&triangle(&mut Vec::new())));
    }

    #[test]
    fn odd_pictures_are_drawn_too() {
        for values in [vec![], vec![5.0], vec![f64::NAN; 3], vec![1e38, -1e38], vec![7.0; 5]] {
            let picture = Picture {
                title: "",
                n_past: values.len().min(2),
                values: &values,
                mean: vec![f64::NAN, 1.0],
                band: None,
                times: [(); 3].map(|()| String::new()),
            };
            assert!(draw(&picture).contains('┤'));
            assert!(crate::plot_svg::draw(&picture).ends_with("</svg>\n"));
        }
    }
}
