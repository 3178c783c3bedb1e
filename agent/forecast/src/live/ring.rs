//! A bounded ring of values on a fixed grid.
//!
//! **In:** values by slot number (seconds since 1970 / step).
//! **Out:** the value of a slot, NaN where there is none.
//! **Not here:** averaging within a slot ([`crate::live`]), statistics for the
//! watch over signals ([`crate::history`]).

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Values of the newest slots; older ones are overwritten.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ring {
    newest: Option<i64>,
    oldest: i64,
    /// Where the newest is; those before it are before it, around the end.
    head: usize,
    #[serde(serialize_with = "write_gaps", deserialize_with = "read_gaps")]
    values: Vec<f32>,
}

impl Ring {
    /// Room for `len` slots, all empty. `len` is at least 1.
    pub(crate) fn new(len: usize) -> Ring {
        Ring { newest: None, oldest: 0, head: 0, values: vec![f32::NAN; len.max(1)] }
    }

    /// The newest slot with a value.
    pub(crate) fn newest(&self) -> Option<i64> {
        self.newest
    }

    /// The first slot that ever had a value and is not overwritten yet.
    pub(crate) fn oldest(&self) -> Option<i64> {
        let newest = self.newest?;
        Some(self.oldest.max(newest.saturating_sub(self.len() - 1)))
    }

    fn len(&self) -> i64 {
        i64::try_from(self.values.len()).unwrap_or(i64::MAX)
    }

    /// Where a slot is; `None` when it is newer than all, or overwritten.
    #[inline]
    fn position(&self, slot: i64) -> Option<usize> {
        let ago = usize::try_from(self.newest?.checked_sub(slot)?).ok()?;
        let n = self.values.len();
        (ago < n).then(|| if ago <= self.head { self.head - ago } else { self.head + n - ago })
    }

    /// Puts a value; slots skipped on the way are emptied, slots too old ignored.
    pub(crate) fn put(&mut self, slot: i64, value: f32) {
        match self.newest {
            None => {
                self.newest = Some(slot);
                self.oldest = slot;
            }
            Some(newest) if newest < slot => {
                let further = slot.saturating_sub(newest);
                if self.len() <= further {
                    self.values.fill(f32::NAN);
                    self.head = 0;
                } else {
                    for _ in 0..further {
                        self.head =
                            if self.head + 1 < self.values.len() { self.head + 1 } else { 0 };
                        if let Some(place) = self.values.get_mut(self.head) {
                            *place = f32::NAN;
                        }
                    }
                }
                self.newest = Some(slot);
            }
            Some(_) => {}
        }
        if let Some(place) = self.position(slot).and_then(|it| self.values.get_mut(it)) {
            *place = value;
        }
    }

    /// The value of a slot; NaN when it has none.
    #[inline]
    pub(crate) fn get(&self, slot: i64) -> f64 {
        let value = self.position(slot).and_then(|it| self.values.get(it));
        value.map_or(f64::NAN, |it| f64::from(*it))
    }

    /// The values of `slot` and of every `step` slots before it, `step` at least 1;
    /// NaN where there is none.
    pub(crate) fn back_from(&self, slot: i64, step: i64, to: &mut [f64]) {
        let n_steps = i64::try_from(to.len()).unwrap_or(i64::MAX).saturating_sub(1);
        let last = slot.saturating_sub(step.saturating_mul(n_steps));
        // Most are remembered from end to end.
        match (self.position(slot), self.position(last), usize::try_from(step)) {
            (Some(mut place), Some(_), Ok(step)) => {
                for it in to {
                    *it = self.values.get(place).map_or(f64::NAN, |it| f64::from(*it));
                    let around = if step <= place { place } else { place + self.values.len() };
                    place = around.saturating_sub(step);
                }
            }
            _ => {
                for (ago, it) in (0..).zip(to) {
                    *it = self.get(slot.saturating_sub(step.saturating_mul(ago)));
                }
            }
        }
    }

    /// Whether what was read back can be worked with.
    pub(crate) fn is_sound(&self, len: usize) -> bool {
        self.values.len() == len && self.head < len
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.values.capacity() * size_of::<f32>()
    }
}

/// JSON has no NaN, so gaps are written as nulls.
pub(crate) fn write_gaps<S: Serializer>(values: &[f32], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(values.iter().map(|it| it.is_finite().then_some(*it)))
}

/// What [`write_gaps`] wrote. A ring is never empty.
pub(crate) fn read_gaps<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f32>, D::Error> {
    let values = Vec::<Option<f32>>::deserialize(from)?;
    if values.is_empty() {
        return Err(serde::de::Error::custom("a ring without slots"));
    }
    Ok(values.into_iter().map(|it| it.unwrap_or(f32::NAN)).collect())
}
