//! Amounts of money, and their currency.
//!
//! **In:** numbers from documents, rates times time.
//! **Out:** sums that add up exactly.
//! **Not here:** exchange between currencies: all documents have one.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An amount, in millionths of the currency of the price book. Sums saturate.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Money(pub i64);

/// Millionths in one.
const MICROS: f64 = 1e6;

impl Money {
    /// The nearest amount; NaN is 0, what is too large saturates.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "float-to-int `as` saturates and maps NaN to 0, which is what is documented"
    )]
    pub fn of(amount: f64) -> Money {
        Money((amount * MICROS).round() as i64)
    }

    /// As a number of the currency; exact up to 9 billion.
    #[expect(clippy::cast_precision_loss, reason = "shown and compared, never summed")]
    pub fn amount(self) -> f64 {
        self.0 as f64 / MICROS
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }

    /// What is left of this after `other`; may be below zero.
    #[must_use]
    pub fn minus(self, other: Money) -> Money {
        Money(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.amount())
    }
}

/// An ISO 4217 code: `USD`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Currency([u8; 3]);

/// Text that should be a currency was not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a currency: write the three capital letters of ISO 4217, such as `USD`")]
pub struct CurrencyError(String);

impl Currency {
    /// Of prices that say nothing else.
    pub const USD: Currency = Currency(*b"USD");

    /// # Errors
    ///
    /// [`CurrencyError`] when the text is not three capital letters.
    pub fn new(code: &str) -> Result<Currency, CurrencyError> {
        match <[u8; 3]>::try_from(code.as_bytes()) {
            Ok(letters) if letters.iter().all(u8::is_ascii_uppercase) => Ok(Currency(letters)),
            Ok(_) | Err(_) => Err(CurrencyError(code.chars().take(24).collect())),
        }
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        // Three capital letters are valid text.
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }
}

impl TryFrom<String> for Currency {
    type Error = CurrencyError;
    fn try_from(code: String) -> Result<Currency, CurrencyError> {
        Currency::new(&code)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.as_str().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
