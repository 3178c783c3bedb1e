//! A look at PromQL from afar.
//!
//! **In:** a query as written.
//! **Out:** whether it is complete, and whether a label survives it.
//! **Not here:** the language itself; Prometheus refuses what is wrong, and the
//! signal is then missing with its message.

/// Why a query cannot be complete.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueryError {
    /// Nothing but white space and comments.
    #[error("the query is empty")]
    Empty,
    /// A bracket that closes nothing, or the wrong one.
    #[error("the query has a `{found}` that closes nothing")]
    Unopened { found: char },
    /// A bracket that is not closed.
    #[error("the query has a `{open}` that is not closed")]
    Unclosed { open: char },
    /// A string that is not closed.
    #[error("the query has a {quote} that is not closed")]
    Quote { quote: char },
}

/// A piece of a query that matters here.
enum Piece<'a> {
    Word(&'a str),
    Sign(char),
}

/// Whether brackets and quotes are balanced and there is anything at all.
///
/// # Errors
///
/// [`QueryError`], at the first fault.
pub(super) fn check(query: &str) -> Result<(), QueryError> {
    let pieces = pieces(query)?;
    if pieces.is_empty() {
        return Err(QueryError::Empty);
    }
    let mut open = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Sign(sign @ ('(' | '[' | '{')) => open.push(sign),
            Piece::Sign(found @ (')' | ']' | '}')) => {
                let expected = match found {
                    ')' => '(',
                    ']' => '[',
                    _ => '{',
                };
                if open.pop() != Some(expected) {
                    return Err(QueryError::Unopened { found });
                }
            }
            Piece::Sign(_) | Piece::Word(_) => {}
        }
    }
    match open.pop() {
        Some(open) => Err(QueryError::Unclosed { open }),
        None => Ok(()),
    }
}

/// Aggregations drop every label that they do not name.
const AGGREGATIONS: &[&str] = &[
    "avg",
    "bottomk",
    "count",
    "count_values",
    "group",
    "limitk",
    "max",
    "min",
    "quantile",
    "stddev",
    "stdvar",
    "sum",
    "topk",
];

/// Whether results can carry `label`: it is mentioned, or nothing drops it.
/// Errs towards yes; it is for a warning.
pub(super) fn keeps_label(query: &str, label: &str) -> bool {
    let Ok(pieces) = pieces(query) else { return true };
    let words: Vec<&str> = pieces
        .into_iter()
        .filter_map(|it| match it {
            Piece::Word(word) => Some(word),
            Piece::Sign(_) => None,
        })
        .collect();
    words.contains(&label)
        || words.contains(&"without")
        || !words.iter().any(|it| AGGREGATIONS.contains(it))
}

fn pieces(query: &str) -> Result<Vec<Piece<'_>>, QueryError> {
    let mut pieces = Vec::new();
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        let is_word = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == ':';
        let length = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' | '`' => {
                // A quoted label name, as in `{"my.label"="x"}`, is a word too.
                let length = quoted_length(rest, first)?;
                pieces.push(Piece::Word(rest.get(1..length - 1).unwrap_or_default()));
                length
            }
            it if is_word(it) => {
                let length = rest.find(|it| !is_word(it)).unwrap_or(rest.len());
                pieces.push(Piece::Word(rest.get(..length).unwrap_or_default()));
                length
            }
            it => {
                if !it.is_whitespace() {
                    pieces.push(Piece::Sign(it));
                }
                it.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(pieces)
}

/// Length of the string that `text` begins with, both quotes included.
fn quoted_length(text: &str, quote: char) -> Result<usize, QueryError> {
    let mut is_escaped = false;
    for (index, it) in text.char_indices().skip(1) {
        if is_escaped {
            is_escaped = false;
        } else if it == '\\' && quote != '`' {
            is_escaped = true;
        } else if it == quote {
            return Ok(index + 1);
        }
    }
    Err(QueryError::Quote { quote })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_query(query: &str, expected: &str) {
        let shown = match check(query) {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected, "{query}");
    }

    #[test]
    fn a_query_is_complete_or_says_what_is_missing() {
        check_query("sum by (service) (rate(x{a=~\"b)|c\"}[1m])) # (", "ok");
        check_query(r#"x{a="quote \" inside", b='\'', c=`\`}"#, "ok");
        check_query(" \n# only a comment", "the query is empty");
        check_query("sum(x", "the query has a `(` that is not closed");
        check_query("x[5m)", "the query has a `)` that closes nothing");
        check_query("x)", "the query has a `)` that closes nothing");
        check_query("x{a=\"b}", "the query has a \" that is not closed");
    }

    #[test]
    fn a_label_is_lost_only_in_an_aggregation_that_does_not_name_it() {
        for (query, expected) in [
            ("sum by (service) (x)", true),
            ("sum(x)", false),
            ("max(sum by (service) (x))", true),
            ("backlog_depth", true),
            ("service:requests:rate1m", true),
            ("sum(x{team=\"a\"})", false),
            ("sum without (instance) (x)", true),
        ] {
            assert_eq!(keeps_label(query, "service"), expected, "{query}");
        }
    }
}
