//! Random expressions that are well-typed but for parentheses left out.

use evenkeel_core::condition::Unit;

use crate::world::{Chance, INSTANCES, NUMBERS};

/// How long, and what may occur.
pub(crate) struct Writer<'c> {
    pub(crate) chance: &'c mut Chance,
    /// Functions of instances: not in CEL.
    pub(crate) with_instances: bool,
    /// `known(x)`: not in CEL, and not monotone in what is known.
    pub(crate) with_known: bool,
    /// How many of 100 leaves have any unit instead of the right one.
    pub(crate) wrong_percent: usize,
}

/// Literal durations and sizes with their values, written out by hand.
pub(crate) const DURATIONS: [(&str, f64); 5] =
    [("500ms", 0.5), ("1s", 1.0), ("90s", 90.0), ("5m", 300.0), ("1h30m", 5_400.0)];
pub(crate) const SIZES: [(&str, f64); 4] =
    [("512", 512.0), ("4k", 4_000.0), ("1Mi", 1_048_576.0), ("20Gi", 21_474_836_480.0)];

impl Writer<'_> {
    pub(crate) fn boolean(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.comparison(0);
        }
        let depth = depth - 1;
        match self.chance.below(10) {
            0 | 1 => self.joined(depth, "&&"),
            2 | 3 => self.joined(depth, "||"),
            4 => format!("!{}", self.group(depth)),
            5 => {
                let condition = self.group(depth);
                let then = self.group(depth);
                format!("{condition} ? {then} : {}", self.boolean(depth))
            }
            6 if self.with_known => format!("known({})", self.chance.choose(&NUMBERS).0),
            7 => self.chance.choose(&["true", "false"]).to_string(),
            _ => self.comparison(depth),
        }
    }

    fn joined(&mut self, depth: usize, operator: &str) -> String {
        let left = self.group(depth);
        format!("{left} {operator} {}", self.group(depth))
    }

    /// Mostly in parentheses; without, precedence decides, and types may no longer fit.
    fn group(&mut self, depth: usize) -> String {
        let inner = self.boolean(depth);
        if self.chance.percent(60) { format!("({inner})") } else { inner }
    }

    fn comparison(&mut self, depth: usize) -> String {
        let unit = *self.chance.choose(&Unit::ALL);
        let operator = match unit {
            Unit::Count | Unit::Units => {
                self.chance.choose(&["<", "<=", ">", ">=", "==", "!="]).to_string()
            }
            Unit::Ratio
            | Unit::Rps
            | Unit::Seconds
            | Unit::UsdPerHour
            | Unit::Usd
            | Unit::Bytes => self.chance.choose(&["<", "<=", ">", ">="]).to_string(),
        };
        let left = self.number(unit, depth);
        format!("{left} {operator} {}", self.number(unit, depth))
    }

    pub(crate) fn number(&mut self, unit: Unit, depth: usize) -> String {
        if depth == 0 || self.chance.percent(20) {
            return self.leaf(unit);
        }
        let depth = depth - 1;
        match self.chance.below(9) {
            0 | 1 => {
                let operator = *self.chance.choose(&["+", "-"]);
                let left = self.term(unit, depth);
                format!("{left} {operator} {}", self.term(unit, depth))
            }
            2 => {
                let operator = *self.chance.choose(&["*", "/"]);
                let left = self.term(unit, depth);
                format!("{left} {operator} {}", self.term(Unit::Ratio, depth))
            }
            3 if unit == Unit::Ratio => {
                let of = *self.chance.choose(&Unit::ALL);
                let left = self.term(of, depth);
                format!("{left} / {}", self.term(of, depth))
            }
            4 => format!("-{}", self.term(unit, depth)),
            5 => format!("abs({})", self.number(unit, depth)),
            6 => {
                let function = *self.chance.choose(&["min", "max"]);
                let n = 2 + self.chance.below(3);
                let arguments: Vec<String> = (0..n).map(|_| self.number(unit, depth)).collect();
                format!("{function}({})", arguments.join(", "))
            }
            7 => {
                let condition = self.group(depth);
                let then = self.term(unit, depth);
                format!("({condition} ? {then} : {})", self.term(unit, depth))
            }
            _ => self.leaf(unit),
        }
    }

    fn term(&mut self, unit: Unit, depth: usize) -> String {
        let inner = self.number(unit, depth);
        if self.chance.percent(60) { format!("({inner})") } else { inner }
    }

    fn leaf(&mut self, unit: Unit) -> String {
        let is_wrong = self.chance.percent(self.wrong_percent);
        let unit = if is_wrong { *self.chance.choose(&Unit::ALL) } else { unit };
        if self.with_instances && self.chance.percent(30) {
            return self.of_instances(unit);
        }
        if self.chance.percent(50) {
            let named: Vec<&str> =
                NUMBERS.iter().filter(|(_, it, _)| *it == unit).map(|(name, ..)| *name).collect();
            return self.chance.choose(&named).to_string();
        }
        // Always with a point: for CEL a number without one is of another type.
        let number = *self.chance.choose(&["0.0", "0.05", "1.0", "3.0", "7.0", "12.5", "1.5e3"]);
        match unit {
            Unit::Ratio if self.chance.percent(30) => format!("percent({number})"),
            Unit::Ratio | Unit::Count | Unit::Units => number.to_owned(),
            Unit::Rps => format!("rps({number})"),
            Unit::UsdPerHour => format!("usd_per_hour({number})"),
            Unit::Usd => format!("usd({number})"),
            Unit::Seconds => format!("duration(\"{}\")", self.chance.choose(&DURATIONS).0),
            Unit::Bytes => format!("bytes(\"{}\")", self.chance.choose(&SIZES).0),
        }
    }

    fn of_instances(&mut self, unit: Unit) -> String {
        let (name, ..) = *self.chance.choose(&INSTANCES);
        if unit == Unit::Count && self.chance.percent(50) {
            return format!("outlier_count({name}, 3.0)");
        }
        let with_unit = INSTANCES.iter().find(|(_, it, _)| *it == unit);
        match with_unit {
            Some((name, ..)) => {
                let function = *self.chance.choose(&["worst", "lowest", "median", "mean"]);
                format!("{function}({name})")
            }
            None if unit == Unit::Ratio => "share_above(errors, 0.1)".to_owned(),
            None => self.number(unit, 0),
        }
    }
}
