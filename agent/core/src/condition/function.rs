//! The functions of the language, as data.
//!
//! **In:** nothing.
//! **Out:** [`FUNCTIONS`] with one line each, for the checker's hints and for pages.
//! **Not here:** what they compute ([`super::evaluate`]).

/// A function that conditions can call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// How it is called: `rps(10)`.
    pub form: &'static str,
    /// What it gives, in one line.
    pub about: &'static str,
    /// What it is, for the checker.
    pub(super) role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Duration,
    Bytes,
    Rps,
    Percent,
    UsdPerHour,
    Usd,
    Count,
    Absolute,
    Least,
    Greatest,
    Known,
    InstanceCount,
    Worst,
    Lowest,
    Median,
    Mean,
    OutlierCount,
    ShareAbove,
}

const fn function(
    name: &'static str,
    form: &'static str,
    about: &'static str,
    role: Role,
) -> Function {
    Function { name, form, about, role }
}

/// All functions. There are no others and a document cannot define one.
pub const FUNCTIONS: &[Function] = &[
    function("duration", "duration(\"5m\")", "a duration, in seconds", Role::Duration),
    function("rps", "rps(10)", "a rate per second", Role::Rps),
    function("percent", "percent(5)", "a ratio: 5 percent are 0.05", Role::Percent),
    function("usd_per_hour", "usd_per_hour(12.5)", "a rate of spending", Role::UsdPerHour),
    function("usd", "usd(3)", "an amount of money", Role::Usd),
    function("bytes", "bytes(\"10Gi\")", "a size, in bytes", Role::Bytes),
    function("count", "count(target.ready)", "units of capacity as a plain count", Role::Count),
    function("abs", "abs(a - b)", "the number without its sign", Role::Absolute),
    function("min", "min(a, b)", "the smallest of 2 to 16 numbers", Role::Least),
    function("max", "max(a, b)", "the largest of 2 to 16 numbers", Role::Greatest),
    function("known", "known(x)", "whether there is a value for x; never unknown", Role::Known),
    function("instances", "instances(x)", "how many instances have a value", Role::InstanceCount),
    function("worst", "worst(x)", "the largest value of the instances", Role::Worst),
    function("lowest", "lowest(x)", "the smallest value of the instances", Role::Lowest),
    function("median", "median(x)", "the median of the instances", Role::Median),
    function("mean", "mean(x)", "the mean of the instances", Role::Mean),
    function(
        "outlier_count",
        "outlier_count(x, 3)",
        "how many instances are above 3 times the median of all others; unknown below 3 instances",
        Role::OutlierCount,
    ),
    function(
        "share_above",
        "share_above(x, limit)",
        "the share of the instances that are above the limit",
        Role::ShareAbove,
    ),
];

pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|it| it.name == name)
}
