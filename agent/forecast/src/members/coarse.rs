//! Ridge regression on averages of several steps, for fine grids.
//!
//! **In:** values on a grid with many steps per season.
//! **Out:** the regression of [`super::ridge`] on blocks, spread over the steps again.
//! **Not here:** anything for grids that are coarse already.
//!
//! One step of noise hides the level from a regression on single values; a block of six shows it.

#![expect(clippy::cast_precision_loss, reason = "block lengths are bounded by PAST_MAX")]

use super::{Fitted, Past, Unfit, naive::mean, ridge};

/// Blocks per shortest season that are aimed for.
///
/// Why 48: half hours of a day; M4 Hourly shows that 24 suffice for the shape, and twice that
/// leaves a ramp of an hour visible.
const BLOCKS_PER_SEASON: usize = 48;

/// A regression on block means.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Coarse {
    /// Steps per block.
    block: usize,
    inner: ridge::Ridge,
}

/// Steps per block: the largest divisor of every season with at least [`BLOCKS_PER_SEASON`]
/// blocks in the shortest.
fn block_of(seasons: &[usize]) -> Option<usize> {
    let short = *seasons.first()?;
    (2..=short / BLOCKS_PER_SEASON).rev().find(|block| seasons.iter().all(|s| s % block == 0))
}

/// One regression per origin (lengths of the past, ascending).
pub(crate) fn fit(
    past: &Past,
    seasons: &[usize],
    origins: &[usize],
    scale: ridge::Scale,
) -> Vec<Result<Fitted, Unfit>> {
    let Some(block) = block_of(seasons) else {
        return origins.iter().map(|_| Err(Unfit::GridCoarse)).collect();
    };
    let coarse_seasons: Vec<usize> = seasons.iter().map(|season| season / block).collect();
    origins
        .iter()
        .map(|origin| {
            let prefix = past.prefix(*origin);
            let values = blocks(&prefix.values, block);
            let skip = prefix.len() % block;
            let known: Vec<bool> = prefix.known[skip..]
                .chunks_exact(block)
                .map(|block| block.iter().filter(|known| **known).count() * 2 > block.len())
                .collect();
            let n = values.len();
            let coarse = Past { values: values.into(), known: known.into() };
            match ridge::fit(&coarse, &coarse_seasons, &[n], scale).pop() {
                Some(Ok(Fitted::Ridge(inner))) => Ok(Fitted::Coarse(Coarse { block, inner })),
                Some(Err(unfit)) => Err(unfit),
                Some(Ok(_)) | None => Err(Unfit::Singular),
            }
        })
        .collect()
}

/// Means of blocks; the last block ends with the last value.
fn blocks(values: &[f64], block: usize) -> Vec<f64> {
    values[values.len() % block..].chunks_exact(block).map(mean).collect()
}

impl Coarse {
    pub(crate) fn forecast(&self, values: &[f64], horizon: usize) -> Result<Vec<f64>, Unfit> {
        let coarse = blocks(values, self.block);
        let last = *coarse.last().ok_or(Unfit::TooShort { needed: self.block, found: 0 })?;
        let ahead = self.inner.forecast(&coarse, horizon / self.block + 2)?;
        // Straight lines between the middles of blocks.
        let middle = (self.block as f64 - 1.0) / 2.0;
        Ok((0..horizon)
            .map(|step| {
                let index = step / self.block;
                let inside = (step % self.block) as f64;
                let share = (inside - middle) / self.block as f64;
                let here = ahead[index];
                if share < 0.0 {
                    let before = if index == 0 { last } else { ahead[index - 1] };
                    here + (here - before) * share
                } else {
                    here + (ahead[index + 1] - here) * share
                }
            })
            .collect())
    }
}
