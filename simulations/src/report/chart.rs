//! The charts of one service.
//!
//! **In:** a service of a timeline, the page's time axis, the events.
//! **Out:** figures: load, capacity, burn rate, cost, and a lane of marks.
//! **Not here:** paths ([`super::draw`]), the page around them ([`super`]).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::draw::{Columns, SIDE, Scale, TimeAxis, area, float, line};
use super::words::{Safe, instant, number, short, span};
use crate::timeline::{Bin, Event, EventKind, ServiceTimeline, Timeline};

/// Lowest burn rate on the axis; what is below is drawn at the bottom.
const BURN_MIN: f64 = 0.1;
/// Burn rate that pages: 2 % of a 30-day budget in an hour. Source: Beyer et al., *The Site
/// Reliability Workbook* (2018), ch. 5.
const BURN_PAGE: f64 = 14.4;
/// Places on the lane of marks. Why 250: a mark is four thousandths of a phone's width or more.
const MARK_PLACES: f64 = 250.0;

/// Where a chart is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) axis: &'a TimeAxis,
    pub(super) timeline: &'a Timeline,
    /// Most columns per series.
    pub(super) columns_max: usize,
    /// Unique on the page, safe as an identifier.
    pub(super) id: &'a str,
}

/// How a series looks; the class names are those of `page.css`.
struct Series {
    class: &'static str,
    name: &'static str,
    path: String,
}

struct Figure<'a> {
    class: &'static str,
    title: &'a str,
    note: String,
    desc: String,
    scale: Scale,
    ticks: Vec<f64>,
    unit: &'a str,
    series: Vec<Series>,
    /// More of the drawing: lines at thresholds, labels at the right.
    extra: String,
    /// What the second axis ends at, when there is one.
    right_top: Option<f64>,
}

/// All charts of `service`.
pub(super) fn service(page: &mut String, place: Place<'_>, service: &ServiceTimeline) {
    let columns = Columns::new(place.axis, place.timeline, service, place.columns_max);
    page.push_str("<div class=\"charts\">");
    load(page, place, service, &columns);
    capacity(page, place, service, &columns);
    burn(page, place, service, &columns);
    cost(page, place, service, &columns);
    lane(page, place, service);
    page.push_str("</div>");
}

fn most(bins: &[Bin], value: impl Fn(&Bin) -> Option<f64>) -> f64 {
    let known = bins.iter().filter(|bin| 0 < bin.seconds).filter_map(value);
    known.filter(|it| it.is_finite()).fold(0.0, f64::max)
}

/// Sum of what `value` makes of each bin, and the seconds in which it is known.
fn total(bins: &[Bin], value: impl Fn(&Bin) -> Option<f64>) -> (f64, f64) {
    let known = bins.iter().filter(|bin| 0 < bin.seconds);
    let known = known.filter_map(|bin| Some((value(bin)?, float(bin.seconds))));
    known.fold((0.0, 0.0), |(sum, time), (value, seconds)| (sum + value * seconds, time + seconds))
}

fn load(page: &mut String, place: Place<'_>, service: &ServiceTimeline, columns: &Columns) {
    let unit = &place.timeline.load_unit;
    let bins = &columns.bins;
    let expected = |bin: &Bin, quantile: usize| bin.forecast.map(|it| it[quantile]);
    let top = most(bins, |bin| Some(bin.load_max));
    // A forecast far above everything must not flatten the load; it leaves the drawing.
    let band = most(bins, |bin| expected(bin, 2)).min(top.max(1e-9) * 2.0);
    let (scale, ticks) = Scale::linear(top.max(band));
    let (sum, seconds) = total(bins, |bin| Some(bin.load));
    let mut series = vec![
        Series {
            class: "band",
            name: "forecast 10–90 %",
            path: area(columns, &scale, |bin| bin.forecast.map(|[low, _, high]| (low, high))),
        },
        Series {
            class: "peak",
            name: "load, highest",
            path: area(columns, &scale, |bin| Some((bin.load, bin.load_max))),
        },
        Series {
            class: "median",
            name: "forecast median",
            path: line(columns, &scale, |bin| expected(bin, 1)),
        },
        Series { class: "load", name: "load", path: line(columns, &scale, |bin| Some(bin.load)) },
    ];
    series.retain(|it| !it.path.is_empty());
    Figure {
        class: "f-load",
        title: "Load and forecast",
        note: format!("mean {}, highest {} {}", number(sum / seconds), number(top), Safe(unit)),
        desc: format!(
            "Load of {}: mean {}, highest {} {}.",
            Safe(&service.name),
            number(sum / seconds),
            number(top),
            Safe(unit)
        ),
        scale,
        ticks,
        unit,
        series,
        extra: String::new(),
        right_top: None,
    }
    .draw(page, place);
}

fn capacity(page: &mut String, place: Place<'_>, service: &ServiceTimeline, columns: &Columns) {
    let bins = &columns.bins;
    // Without a load per unit the axis counts units.
    let has_load = service.unit_load.is_finite() && 0.0 < service.unit_load;
    let per_unit = if has_load { service.unit_load } else { 1.0 };
    let unit = if has_load { place.timeline.load_unit.as_str() } else { "units" };
    let load = |units: u32| Some(f64::from(units) * per_unit);
    let highest = |bin: &Bin| load(bin.ready_min.max(bin.desired).max(bin.needed_max));
    let (scale, ticks) = Scale::linear(most(bins, highest));
    let is_short = |bin: &Bin| bin.ready_min < bin.needed_max;
    let (short_seconds, _) =
        total(&service.bins, |bin| Some(if is_short(bin) { 1.0 } else { 0.0 }));
    let mut series = vec![
        Series {
            class: "ready",
            name: "ready",
            path: area(columns, &scale, |bin| Some((0.0, load(bin.ready_min)?))),
        },
        Series {
            class: "short",
            name: "short of need",
            path: area(columns, &scale, |bin| {
                let ends = (load(bin.ready_min)?, load(bin.needed_max)?);
                is_short(bin).then_some(ends)
            }),
        },
        Series {
            class: "needed",
            name: "needed",
            path: line(columns, &scale, |bin| load(bin.needed_max)),
        },
        Series {
            class: "desired",
            name: "desired",
            path: line(columns, &scale, |bin| load(bin.desired)),
        },
    ];
    series.retain(|it| !it.path.is_empty());
    let short = if 0.0 < short_seconds {
        format!("short of need for up to {}", rounded_span(short_seconds))
    } else {
        "never short of need".to_owned()
    };
    let each = if has_load {
        format!("1 unit carries {} {}; ", number(per_unit), Safe(unit))
    } else {
        String::new()
    };
    Figure {
        class: "f-capacity",
        title: "Capacity",
        note: format!("{each}{short}"),
        desc: format!("Ready, desired and needed capacity of {}: {short}.", Safe(&service.name)),
        scale,
        ticks,
        unit,
        series,
        extra: String::new(),
        right_top: None,
    }
    .draw(page, place);
}

fn burn(page: &mut String, place: Place<'_>, service: &ServiceTimeline, columns: &Columns) {
    let budget = 1.0 - service.objective_ratio;
    if !(budget.is_finite() && 1e-9 < budget) {
        page.push_str("<p class=\"none\">No burn rate: the objective leaves no error budget.</p>");
        return;
    }
    let bins = &columns.bins;
    let rate = |bin: &Bin| bin.good_ratio.map(|good| ((1.0 - good) / budget).max(0.0));
    let highest = most(bins, rate);
    let mut high = 100.0;
    while high < highest && high < 1e6 {
        high *= 10.0;
    }
    let scale = Scale::Log { low: BURN_MIN, high };
    let mut ticks = vec![BURN_MIN];
    while let Some(last) = ticks.last().copied()
        && last * 9.0 < high
    {
        ticks.push(last * 10.0);
    }
    let (spent, seconds) = total(bins, rate);
    let mut extra = String::new();
    for (value, words) in [(1.0, "1× budget"), (BURN_PAGE, "14.4× pages")] {
        let y = 100.0 * (1.0 - scale.share(value));
        let _infallible = write!(
            extra,
            "<line class=\"limit\" x1=\"0\" x2=\"100%\" y1=\"{y:.1}%\" y2=\"{y:.1}%\"/>\
             <text class=\"limit\" x=\"100%\" y=\"{y:.1}%\" dx=\"-4\" dy=\"-4\">{words}</text>"
        );
    }
    Figure {
        class: "f-burn",
        title: "SLO burn rate",
        note: format!(
            "objective {} %; mean over time {}×, highest {}×",
            number(service.objective_ratio * 100.0),
            number(spent / seconds),
            number(highest)
        ),
        desc: format!(
            "Burn rate of the error budget of {} on a logarithmic axis: mean {}, highest {}.",
            Safe(&service.name),
            number(spent / seconds),
            number(highest)
        ),
        scale,
        ticks,
        unit: "×",
        series: vec![Series {
            class: "burn",
            name: "burn rate",
            path: area(columns, &scale, |bin| Some((BURN_MIN, rate(bin)?))),
        }],
        extra,
        right_top: None,
    }
    .draw(page, place);
}

fn cost(page: &mut String, place: Place<'_>, service: &ServiceTimeline, columns: &Columns) {
    let bins = &columns.bins;
    let rate = |bin: &Bin| Some(bin.cost_usd / float(bin.seconds) * 3_600.0);
    let (scale, ticks) = Scale::linear(most(bins, rate));
    // Running sums ride in a field of copied bins, so that one way of drawing serves both.
    let mut sum = 0.0;
    let mut summed = columns.clone();
    for bin in &mut summed.bins {
        sum += bin.cost_usd;
        bin.cost_usd = sum;
    }
    let (sum_scale, sum_ticks) = Scale::linear(sum);
    let mut extra = String::new();
    for tick in sum_ticks.iter().filter(|it| 0.0 < **it) {
        let y = 100.0 * (1.0 - sum_scale.share(*tick));
        let _infallible = write!(
            extra,
            "<text class=\"right\" x=\"100%\" y=\"{y:.1}%\" dx=\"-4\" dy=\"12\">${}</text>",
            short(*tick)
        );
    }
    let mut series = vec![
        Series { class: "cost", name: "USD/h", path: line(columns, &scale, rate) },
        Series {
            class: "sum",
            name: "sum, USD (right)",
            path: line(&summed, &sum_scale, |bin| Some(bin.cost_usd)),
        },
    ];
    series.retain(|it| !it.path.is_empty());
    let right_top = match sum_scale {
        Scale::Linear { top } => Some(top),
        Scale::Log { .. } => None,
    };
    let sum = number(sum);
    Figure {
        class: "f-cost",
        title: "Cost",
        note: format!("${sum} in all; a unit is ${} per hour", number(service.unit_usd_per_hour)),
        desc: format!("Cost of {}: {sum} dollars in all.", Safe(&service.name)),
        scale,
        ticks,
        unit: "USD/h",
        series,
        extra,
        right_top,
    }
    .draw(page, place);
}

impl Figure<'_> {
    fn draw(&self, page: &mut String, place: Place<'_>) {
        let Figure { class, title, note, desc, ticks, unit, series, extra, .. } = self;
        let id = format!("{}-{class}", place.id);
        let top = match self.scale {
            Scale::Linear { top } => format!("data-top=\"{top}\""),
            Scale::Log { low, high } => format!("data-low=\"{low}\" data-top=\"{high}\""),
        };
        let right = self.right_top.map(|it| format!(" data-right=\"{it}\"")).unwrap_or_default();
        let _infallible = write!(
            page,
            "<figure class=\"{class}\"><figcaption><h4>{title}</h4><span class=\"unit\">{}</span>\
             <span class=\"legend\">",
            Safe(unit)
        );
        for Series { class, name, .. } in series {
            let _infallible = write!(
                page,
                "<label class=\"l-{class}\"><input type=\"checkbox\" checked class=\"t-{class}\">\
                 <i></i>{name}</label>"
            );
        }
        let _infallible = write!(
            page,
            "</span></figcaption><p class=\"note\">{note}</p><div class=\"plot\">\
             <svg class=\"chart\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\" {top}{right}>\
             <title id=\"{id}-t\">{title}</title><desc id=\"{id}-d\">{desc}</desc>"
        );
        for tick in ticks {
            let y = 100.0 * (1.0 - self.scale.share(*tick));
            let _infallible = write!(
                page,
                "<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{y:.1}%\" y2=\"{y:.1}%\"/>\
                 <text class=\"y\" x=\"0\" y=\"{y:.1}%\" dx=\"-6\" dy=\"4\">{}</text>",
                short(*tick)
            );
        }
        times(page, place.axis, true);
        let side = SIDE;
        let _infallible = write!(
            page,
            "<svg x=\"0\" y=\"0\" width=\"100%\" height=\"100%\" viewBox=\"0 0 {side} {side}\" \
             preserveAspectRatio=\"none\">"
        );
        for Series { class, path, .. } in series {
            let _infallible = write!(page, "<path class=\"s-{class}\" d=\"{path}\"/>");
        }
        let _infallible = write!(page, "</svg>{extra}</svg></div></figure>");
    }
}

fn times(page: &mut String, axis: &TimeAxis, labels: bool) {
    let (step, ticks) = axis.ticks();
    for (position, at) in ticks.iter().enumerate() {
        let x = 100.0 * axis.share(*at);
        // A phone shows every other label.
        let class = if position % 2 == 0 { "x" } else { "x wide" };
        let _infallible = write!(
            page,
            "<line class=\"grid\" x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"0\" y2=\"100%\"/>"
        );
        if !labels {
            continue;
        }
        let midnight = at.rem_euclid(86_400) == 0;
        let format = match step {
            86_400.. => "%b %-d",
            _ if midnight => "%b %-d",
            60.. => "%H:%M",
            _ => "%H:%M:%S",
        };
        let anchor = if 97.0 < x {
            " end"
        } else if x < 3.0 {
            " start"
        } else {
            ""
        };
        let _infallible = write!(
            page,
            "<text class=\"{class}{anchor}\" x=\"{x:.2}%\" y=\"100%\" dy=\"15\">{}</text>",
            instant(*at, format)
        );
    }
}

/// What a kind of event is called, and how its mark looks: row of the lane, symbol.
pub(super) fn kind(kind: EventKind) -> (&'static str, usize, &'static str) {
    match kind {
        EventKind::FaultBegan => ("fault began", 0, "began"),
        EventKind::FaultEnded => ("fault ended", 0, "ended"),
        EventKind::Decision => ("decision", 1, "decision"),
        EventKind::Refusal => ("refusal", 1, "refusal"),
        EventKind::Person => ("person", 2, "person"),
        EventKind::Page => ("page", 2, "page"),
        EventKind::Violation => ("violation", 3, "violation"),
    }
}

/// Rows of the lane, from the top.
const ROWS: [&str; 4] = ["faults", "decisions", "people", "violations"];

fn lane(page: &mut String, place: Place<'_>, service: &ServiceTimeline) {
    let concerns = |event: &&Event| event.service.is_empty() || event.service == service.name;
    let mut marks = BTreeSet::new();
    let mut counts = [0_u32; 4];
    for event in place.timeline.events.iter().filter(concerns) {
        let (_, row, symbol) = kind(event.kind);
        counts[row] += 1;
        let at = (place.axis.share(event.at) * MARK_PLACES).round();
        marks.insert((row, super::draw::pixel(at), symbol));
    }
    let id = place.id;
    let named = ROWS.iter().zip(counts).map(|(row, count)| format!("{row}: {count}"));
    let _infallible = write!(
        page,
        "<figure class=\"f-lane\"><figcaption><h4>Events and decisions</h4>\
         <span class=\"legend marks\">"
    );
    for (name, symbol) in [
        ("fault began", "began"),
        ("fault ended", "ended"),
        ("decision", "decision"),
        ("refusal", "refusal"),
        ("person", "person"),
        ("page", "page"),
        ("violation", "violation"),
    ] {
        let _infallible = write!(page, "<span>{}{name}</span>", symbol_svg(symbol));
    }
    let _infallible = write!(
        page,
        "</span></figcaption><div class=\"plot\"><svg class=\"chart lane\" role=\"img\" \
         aria-labelledby=\"{id}-lane-t {id}-lane-d\"><title id=\"{id}-lane-t\">Events and decisions\
         </title><desc id=\"{id}-lane-d\">{}. Each is in the list below.</desc>",
        named.collect::<Vec<_>>().join(", ")
    );
    for (row, name) in ROWS.iter().enumerate() {
        let y = 11 + 22 * row;
        let _infallible = write!(
            page,
            "<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/>\
             <text class=\"y\" x=\"0\" y=\"{y}\" dx=\"-6\" dy=\"4\">{name}</text>"
        );
    }
    times(page, place.axis, true);
    for (row, at, symbol) in marks {
        let x = f64::from(at) * 100.0 / MARK_PLACES;
        let y = 11 + 22 * row;
        let _infallible =
            write!(page, "<use href=\"#m-{symbol}\" class=\"m-{symbol}\" x=\"{x}%\" y=\"{y}\"/>");
    }
    page.push_str("</svg></div></figure>");
}

/// A mark outside a chart.
pub(super) fn symbol_svg(symbol: &str) -> String {
    format!(
        "<svg class=\"mark\" viewBox=\"-7 -7 14 14\" aria-hidden=\"true\">\
         <use href=\"#m-{symbol}\" class=\"m-{symbol}\"/></svg>"
    )
}

fn rounded_span(seconds: f64) -> String {
    // Sums of whole seconds.
    span(format!("{seconds:.0}").parse().unwrap_or(i64::MAX))
}
