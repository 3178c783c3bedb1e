//! The members of the ensemble: small models of one series.
//!
//! **In:** a [`Past`] without gaps and the seasons.
//! **Out:** a [`Fitted`] member that forecasts from that past or a slightly newer one.
//! **Not here:** how much each member counts ([`crate::ensemble`]) and models learned from many
//! series ([`crate::global`]).
//!
//! What each is worth: overall weighted average (OWA) of the ensemble on M4 Hourly, mean of three
//! windows before the test part, as it is and without one member (2026-11-21; lower is better).
//!
//! | Without | with global models | without |
//! |---|---|---|
//! | none | 0.394 | 0.405 |
//! | persistence | 0.394 | 0.405 |
//! | flat | 0.394 | 0.405 |
//! | seasonal_short | 0.398 | 0.418 |
//! | seasonal_long | 0.393 | 0.406 |
//! | leveled | 0.393 | 0.404 |
//! | profile | 0.396 | 0.409 |
//! | ridge | 0.396 | 0.409 |
//! | ridge_log | 0.396 | 0.411 |
//! | mstl | 0.396 | 0.408 |
//! | global_log | 0.398 | |
//! | global | 0.396 | |
//!
//! Persistence and flat stay because abstention compares with them and young series have
//! nothing else; seasonal_long and leveled because a trace of five minutes is another matter
//! (leveled is the best single member of `crane_0`).
//!
//! A member that cannot be fitted says why instead of guessing; whoever fits it drops and counts
//! it. None of them panics, whatever the numbers.

pub(crate) mod coarse;
pub(crate) mod mstl;
pub(crate) mod naive;
pub(crate) mod past;
pub(crate) mod profile;
pub(crate) mod ridge;

pub(crate) use past::Past;

use coarse::Coarse;
use mstl::Mstl;
use naive::{Flat, Leveled, Persistence, Seasonal};
use profile::Profile;
use ridge::Ridge;

/// Why a member has no part. One variant per reason.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Unfit {
    /// The past does not reach back far enough.
    #[error("needs {needed} values of the past, has {found}")]
    TooShort {
        /// Values needed.
        needed: usize,
        /// Values there are.
        found: usize,
    },
    /// Too many gaps.
    #[error("fewer than {needed} rows without a gap to learn from")]
    FewRows {
        /// Rows needed.
        needed: usize,
    },
    /// Normal equations without a usable solution.
    #[error("normal equations are singular")]
    Singular,
    /// Only for series that never go below zero.
    #[error("logarithm of negative values")]
    Negative,
    /// No season to work with.
    #[error("the series has no season")]
    NoSeason,
    /// A decomposition would take too long.
    #[error("season of {found} steps is longer than {max}")]
    SeasonLong {
        /// Shortest season of the series.
        found: usize,
        /// What is decomposed at most.
        max: usize,
    },
    /// Blocks of steps would be single steps.
    #[error("the grid has too few steps per season to average any")]
    GridCoarse,
    /// A number overflowed or became NaN.
    #[error("forecast is not finite")]
    NotFinite,
    /// From a library.
    #[error("decomposition failed: {cause}")]
    Decomposition {
        /// What the library said.
        cause: String,
    },
    /// Left out by [`crate::ensemble`], which saw it do much worse than the best.
    #[error(
        "error {error:.3} at the rolling origins is above {ratio:.1} times the best ({best:.3})"
    )]
    Outclassed {
        /// Its scaled error.
        error: f64,
        /// The best member's.
        best: f64,
        /// What would have been tolerated.
        ratio: f64,
    },
}

/// The members, in the fixed order of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The last value for ever.
    Persistence,
    /// The median of the last season for ever.
    Flat,
    /// The last period of the shortest season again.
    SeasonalShort,
    /// The last period of the longest season again.
    SeasonalLong,
    /// The longest season, moved to today's level.
    Leveled,
    /// A smooth average period, moved to today's level.
    Profile,
    /// Ridge regression on seasonal lags.
    Ridge,
    /// The same on logarithms.
    RidgeLog,
    /// The same on averages of several steps.
    RidgeCoarse,
    /// The same on averages of several steps, on logarithms.
    RidgeCoarseLog,
    /// Seasonal-trend decomposition.
    Mstl,
}

impl Kind {
    /// Every member.
    pub(crate) const ALL: [Kind; 11] = [
        Kind::Persistence,
        Kind::Flat,
        Kind::SeasonalShort,
        Kind::SeasonalLong,
        Kind::Leveled,
        Kind::Profile,
        Kind::Ridge,
        Kind::RidgeLog,
        Kind::RidgeCoarse,
        Kind::RidgeCoarseLog,
        Kind::Mstl,
    ];

    /// Constant name for reports and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Persistence => "persistence",
            Kind::Flat => "flat",
            Kind::SeasonalShort => "seasonal_short",
            Kind::SeasonalLong => "seasonal_long",
            Kind::Leveled => "leveled",
            Kind::Profile => "profile",
            Kind::Ridge => "ridge",
            Kind::RidgeLog => "ridge_log",
            Kind::RidgeCoarse => "ridge_coarse",
            Kind::RidgeCoarseLog => "ridge_coarse_log",
            Kind::Mstl => "mstl",
        }
    }

    /// Fits the member to what lies before each origin, given as lengths of the past.
    ///
    /// One entry per origin, in order. Together they cost little more than the last alone where
    /// sums can be shared.
    pub(crate) fn fit(
        self,
        past: &Past,
        seasons: &[usize],
        origins: &[usize],
    ) -> Vec<Result<Fitted, Unfit>> {
        let short = seasons.first().copied();
        let long = seasons.last().copied();
        let each = |fit: &dyn Fn(Past) -> Result<Fitted, Unfit>| -> Vec<Result<Fitted, Unfit>> {
            origins.iter().map(|origin| fit(past.prefix(*origin))).collect()
        };
        match self {
            Kind::Persistence => each(&|_| Ok(Fitted::Persistence(Persistence))),
            Kind::Flat => each(&|past| Ok(Fitted::Flat(Flat::fit(&past, short)))),
            Kind::SeasonalShort => each(&|past| Seasonal::fit(&past, short).map(Fitted::Seasonal)),
            Kind::SeasonalLong => each(&|past| {
                let long = if seasons.len() > 1 { long } else { None };
                Seasonal::fit(&past, long).map(Fitted::Seasonal)
            }),
            Kind::Leveled => each(&|past| Leveled::fit(&past, seasons).map(Fitted::Leveled)),
            Kind::Profile => each(&|past| Profile::fit(&past, seasons).map(Fitted::Profile)),
            Kind::Ridge => ridge::fit(past, seasons, origins, ridge::Scale::Plain),
            Kind::RidgeLog => ridge::fit(past, seasons, origins, ridge::Scale::Log),
            Kind::RidgeCoarse => coarse::fit(past, seasons, origins, ridge::Scale::Plain),
            Kind::RidgeCoarseLog => coarse::fit(past, seasons, origins, ridge::Scale::Log),
            Kind::Mstl => each(&|past| Mstl::fit(&past, seasons).map(Fitted::Mstl)),
        }
    }
}

/// A member with its coefficients.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fitted {
    /// See [`Kind::Persistence`].
    Persistence(Persistence),
    /// See [`Kind::Flat`].
    Flat(Flat),
    /// See [`Kind::SeasonalShort`] and [`Kind::SeasonalLong`].
    Seasonal(Seasonal),
    /// See [`Kind::Leveled`].
    Leveled(Leveled),
    /// See [`Kind::Profile`].
    Profile(Profile),
    /// See [`Kind::Ridge`] and [`Kind::RidgeLog`].
    Ridge(Ridge),
    /// See [`Kind::RidgeCoarse`] and [`Kind::RidgeCoarseLog`].
    Coarse(Coarse),
    /// See [`Kind::Mstl`].
    Mstl(Mstl),
}

impl Fitted {
    /// The next `horizon` values after `values`, which has no gaps and ends `since_fit` steps
    /// after the past that was fitted.
    ///
    /// # Errors
    ///
    /// [`Unfit`] when `values` is too short or a number is not finite.
    pub(crate) fn forecast(
        &self,
        values: &[f64],
        since_fit: usize,
        horizon: usize,
    ) -> Result<Vec<f64>, Unfit> {
        let forecast = match self {
            Fitted::Persistence(member) => member.forecast(values, horizon),
            Fitted::Flat(member) => member.forecast(values, horizon),
            Fitted::Seasonal(member) => member.forecast(values, horizon),
            Fitted::Leveled(member) => member.forecast(values, horizon),
            Fitted::Profile(member) => member.forecast(values, horizon),
            Fitted::Ridge(member) => member.forecast(values, horizon),
            Fitted::Coarse(member) => member.forecast(values, horizon),
            Fitted::Mstl(member) => member.forecast(values, since_fit, horizon),
        }?;
        if forecast.len() == horizon && forecast.iter().all(|value| value.is_finite()) {
            Ok(forecast)
        } else {
            Err(Unfit::NotFinite)
        }
    }
}
