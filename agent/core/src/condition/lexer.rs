//! From text to tokens, one at a time.
//!
//! **In:** any text.
//! **Out:** tokens with their places; for what is not in the language, but was most
//! likely meant to be something, a fault that says what.
//! **Not here:** the order of tokens ([`super::parser`]).

use std::ops::Range;

use super::fault::ConditionFault;

/// One word of the language.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'t> {
    Number(f64),
    /// The content of a string, without its quotes.
    Text(&'t str),
    /// `true` or `false`.
    Truth(bool),
    /// An identifier, or two with a dot between.
    Name(&'t str),
    Symbol(Symbol),
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    And,
    Or,
    Not,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    Minus,
    Times,
    Divide,
    Open,
    Close,
    Comma,
    Question,
    Colon,
}

/// Longer ones first.
const SYMBOLS: [(&str, Symbol); 18] = [
    ("&&", Symbol::And),
    ("||", Symbol::Or),
    ("==", Symbol::Equal),
    ("!=", Symbol::NotEqual),
    ("<=", Symbol::LessOrEqual),
    (">=", Symbol::GreaterOrEqual),
    ("!", Symbol::Not),
    ("<", Symbol::Less),
    (">", Symbol::Greater),
    ("+", Symbol::Plus),
    ("-", Symbol::Minus),
    ("*", Symbol::Times),
    ("/", Symbol::Divide),
    ("(", Symbol::Open),
    (")", Symbol::Close),
    (",", Symbol::Comma),
    ("?", Symbol::Question),
    (":", Symbol::Colon),
];

/// What is not in the language, what to say, and what to write instead. Before the symbols.
const MISTAKES: [(&str, &str, &str); 26] = [
    ("{{", "there are no templates", "write the name alone, for example `params.limit`"),
    ("${", "there are no templates", "write the name alone, for example `params.limit`"),
    ("<>", "`<>` is not an operator", "write `!=`"),
    ("=<", "`=<` is not an operator", "write `<=`"),
    ("=>", "`=>` is not an operator", "write `>=`"),
    ("===", "`===` is not an operator", "write `==`"),
    ("//", "a comment is not possible in a condition", "put it into the document, after a `#`"),
    ("**", "there are no powers", "write `x * x`"),
    ("++", "`++` is not an operator", "write `a + b`"),
    ("%", "`%` is not an operator", "for percentages write for example `percent(5)`"),
    ("[", "there are no lists and no indexing", "name the value that you need as an input"),
    ("]", "there are no lists and no indexing", "name the value that you need as an input"),
    ("{", "there are no maps", "name the value that you need as an input"),
    ("}", "there are no maps", "name the value that you need as an input"),
    ("^", "`^` is not an operator", "write `a != b` for different, `x * x` for a square"),
    ("~", "there are no patterns", "choose in the query of the input"),
    ("@", "`@` is not in the language", "names are letters, digits and `_`"),
    ("$", "`$` is not in the language", "write the name alone, for example `params.limit`"),
    (
        "#",
        "a comment is not possible in a condition",
        "put it into the document, outside of the text",
    ),
    (";", "a condition is one expression", "join two conditions with `&&`"),
    ("\\", "`\\` is not in the language", "leave it out"),
    ("≤", "`≤` is not an operator", "write `<=`"),
    ("≥", "`≥` is not an operator", "write `>=`"),
    ("≠", "`≠` is not an operator", "write `!=`"),
    ("×", "`×` is not an operator", "write `*`"),
    ("−", "this is a typographic minus", "write `-`"),
];

/// Words that CEL reserves, and those that people write for operators. None is a name.
const RESERVED: [(&str, &str); 28] = [
    ("and", "write `&&`"),
    ("or", "write `||`"),
    ("not", "write `!`, for example `!(a < b)`"),
    ("AND", "write `&&`"),
    ("OR", "write `||`"),
    ("NOT", "write `!`, for example `!(a < b)`"),
    ("in", "compare with `==` and join with `||`"),
    ("is", "write `==`"),
    ("null", "write `known(x)` to ask whether there is a value"),
    ("True", "write `true`"),
    ("False", "write `false`"),
    ("if", "write `condition ? a : b`"),
    ("else", "write `condition ? a : b`"),
    ("as", OTHER_NAME),
    ("break", OTHER_NAME),
    ("const", OTHER_NAME),
    ("continue", OTHER_NAME),
    ("for", "there are no loops; use `worst(x)`, `share_above(x, limit)` or a query"),
    ("function", OTHER_NAME),
    ("import", OTHER_NAME),
    ("let", OTHER_NAME),
    ("loop", "there are no loops; use `worst(x)`, `share_above(x, limit)` or a query"),
    ("package", OTHER_NAME),
    ("namespace", OTHER_NAME),
    ("return", "a condition is only its expression"),
    ("var", OTHER_NAME),
    ("void", OTHER_NAME),
    ("while", "there are no loops; use `worst(x)`, `share_above(x, limit)` or a query"),
];

const OTHER_NAME: &str = "CEL reserves the word; take another name";

/// Longest string. Why 64: `duration("…")` and `bytes("…")` need fewer.
const STRING_BYTES_MAX: usize = 64;

/// Whether `name` can be one part of a name.
pub(super) fn is_identifier(name: &str) -> bool {
    name.starts_with(starts_identifier)
        && name.chars().all(continues_identifier)
        && !matches!(name, "true" | "false")
        && RESERVED.iter().all(|(it, _)| *it != name)
}

fn starts_identifier(it: char) -> bool {
    it.is_ascii_alphabetic() || it == '_'
}

fn continues_identifier(it: char) -> bool {
    it.is_ascii_alphanumeric() || it == '_'
}

pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

type Lexed<'t> = Result<(Token<'t>, Range<usize>), ConditionFault>;

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Lexer<'t> {
        Lexer { text, at: 0 }
    }

    /// The next token and where it is; [`Token::End`] for ever after the last.
    pub(super) fn next(&mut self) -> Lexed<'t> {
        let rest = self.rest(self.at);
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        let start = self.at;
        let rest = self.rest(start);
        let Some(first) = rest.chars().next() else {
            return Ok((Token::End, start..start));
        };
        if first.is_ascii_digit() || (first == '.' && self.digits(start + 1) != 0) {
            return self.number(start);
        }
        if starts_identifier(first) {
            return self.name(start);
        }
        if first == '"' {
            return self.string(start);
        }
        for (wrong, message, hint) in MISTAKES {
            if rest.starts_with(wrong) {
                return Err(ConditionFault::new(start..start + wrong.len(), message, hint));
            }
        }
        for (symbol, token) in SYMBOLS {
            if rest.starts_with(symbol) {
                self.at = start + symbol.len();
                return Ok((Token::Symbol(token), start..self.at));
            }
        }
        Err(stray(rest, first, start))
    }

    fn rest(&self, at: usize) -> &'t str {
        self.text.get(at..).unwrap_or_default()
    }

    /// How many digits begin at `at`.
    fn digits(&self, at: usize) -> usize {
        self.rest(at).bytes().take_while(u8::is_ascii_digit).count()
    }

    fn number(&mut self, start: usize) -> Lexed<'t> {
        let mut end = start + self.digits(start);
        if self.rest(end).starts_with('.') && self.digits(end + 1) != 0 {
            end += 1 + self.digits(end + 1);
        }
        let exponent = self.rest(end);
        if exponent.starts_with(['e', 'E']) {
            let sign = usize::from(exponent.get(1..).is_some_and(|it| it.starts_with(['+', '-'])));
            let digits = self.digits(end + 1 + sign);
            if digits != 0 {
                end += 1 + sign + digits;
            }
        }
        let number = self.text.get(start..end).unwrap_or_default();
        let tail = self.rest(end);
        let n_tail = tail.chars().take_while(|it| continues_identifier(*it)).count();
        if n_tail != 0 || tail.starts_with(['.', '%']) {
            let suffix = tail.get(..n_tail.max(1)).unwrap_or_default();
            return Err(number_with_suffix(start..end + n_tail.max(1), number, suffix));
        }
        let value: f64 = number.parse().unwrap_or(f64::NAN);
        if !value.is_finite() {
            let message = "this number is too large";
            return Err(ConditionFault::new(start..end, message, "write one below 1e308"));
        }
        self.at = end;
        Ok((Token::Number(value), start..end))
    }

    fn name(&mut self, start: usize) -> Lexed<'t> {
        let mut end = start;
        let mut n_parts = 0;
        loop {
            let part_start = end;
            end += self.rest(end).chars().take_while(|it| continues_identifier(*it)).count();
            n_parts += 1;
            let part = self.text.get(part_start..end).unwrap_or_default();
            if let Some((_, hint)) = RESERVED.iter().find(|(it, _)| *it == part) {
                let message = format!("`{part}` is not a name");
                return Err(ConditionFault::new(part_start..end, message, *hint));
            }
            let tail = self.rest(end);
            if !tail.strip_prefix('.').is_some_and(|it| it.starts_with(starts_identifier)) {
                break;
            }
            end += 1;
        }
        let name = self.text.get(start..end).unwrap_or_default();
        if 2 < n_parts {
            return Err(ConditionFault::new(
                start..end,
                format!(
                    "`{}` has more than one dot",
                    super::fault::piece(self.text, &(start..end))
                ),
                "names are `name` or `group.name`, for example `params.limit`",
            ));
        }
        if self.rest(end).starts_with('.') {
            let hint = "names are `name` or `group.name`, for example `params.limit`";
            return Err(ConditionFault::new(end..end + 1, "a name is missing after `.`", hint));
        }
        self.at = end;
        let token = match name {
            "true" => Token::Truth(true),
            "false" => Token::Truth(false),
            _ => Token::Name(name),
        };
        Ok((token, start..end))
    }

    fn string(&mut self, start: usize) -> Lexed<'t> {
        let content = self.rest(start + 1);
        let length = content.find(['"', '\\', '\n']).unwrap_or(content.len());
        let end = start + 1 + length;
        match content.get(length..).and_then(|it| it.chars().next()) {
            Some('"') if length <= STRING_BYTES_MAX => {
                self.at = end + 1;
                let content = content.get(..length).unwrap_or_default();
                Ok((Token::Text(content), start..end + 1))
            }
            Some('"') => Err(ConditionFault::new(
                start..end + 1,
                format!("this text has {length} bytes, at most {STRING_BYTES_MAX} are possible"),
                "texts are only for `duration(\"5m\")` and `bytes(\"10Gi\")`",
            )),
            Some('\\') => Err(ConditionFault::new(
                end..end + 1,
                "a text has no escapes",
                "leave `\\` out; texts are only for `duration(\"5m\")` and `bytes(\"10Gi\")`",
            )),
            Some(_) | None => Err(ConditionFault::new(
                start..end,
                "this text does not end",
                "put `\"` after it, for example `duration(\"5m\")`",
            )),
        }
    }
}

/// `5m`, `50%`, `0x10`, `5.`: what was meant.
fn number_with_suffix(span: Range<usize>, number: &str, suffix: &str) -> ConditionFault {
    let hint = match suffix {
        // Nobody meant so many digits.
        _ if SHOWN_CHARS_MAX < number.len() => "numbers are like `3` and `0.05`".to_owned(),
        "%" => format!("write `percent({number})`"),
        "ms" | "s" | "m" | "min" | "h" | "d" | "w" => {
            format!("write `duration(\"{number}{suffix}\")`")
        }
        "Ki" | "Mi" | "Gi" | "Ti" | "KiB" | "MiB" | "GiB" | "TiB" | "k" | "K" | "M" | "G" | "T"
        | "kB" | "KB" | "MB" | "GB" | "TB" => format!("write `bytes(\"{number}{suffix}\")`"),
        "rps" => format!("write `rps({number})`"),
        "u" | "U" => format!("write `{number}`; there is only one kind of number"),
        "usd" | "USD" => format!("write `usd({number})` or `usd_per_hour({number})`"),
        "." => "digits must follow the point, and a number has one point".to_owned(),
        _ => "numbers are like `3`, `0.05` and `1e6`; names do not begin with a digit".to_owned(),
    };
    let shown = format!("{}{}", shortened(number), shortened(suffix));
    ConditionFault::new(span, format!("`{shown}` is not a number"), hint)
}

/// Most characters of a number, and of what follows it, in a message.
const SHOWN_CHARS_MAX: usize = 24;

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// A character that nothing begins with.
fn stray(rest: &str, first: char, start: usize) -> ConditionFault {
    let span = start..start + first.len_utf8();
    let fault = |message: &str, hint: String| ConditionFault::new(span.clone(), message, hint);
    match first {
        '\'' | '`' | '“' | '”' | '‘' | '’' | '„' => {
            let inside = rest.chars().skip(1);
            let inside: String =
                inside.take(24).take_while(|it| it.is_ascii_alphanumeric() || *it == '.').collect();
            let example = if inside.is_empty() { "5m".to_owned() } else { inside };
            fault("a text stands in double quotes", format!("write `\"{example}\"`"))
        }
        '=' => fault(
            "`=` is not an operator",
            "write `==` to compare counts, `<=` or `>=` for measured values".to_owned(),
        ),
        '&' => fault("`&` is not an operator", "write `&&`".to_owned()),
        '|' => fault("`|` is not an operator", "write `||`".to_owned()),
        '.' => {
            fault("a name or number cannot begin here", "write `params.limit` or `0.5`".to_owned())
        }
        _ if first.is_whitespace() => {
            fault("this is not a plain space", "replace it by a space".to_owned())
        }
        _ => {
            let message = format!("{first:?} is not in the language");
            fault(&message, "names are letters, digits and `_`".to_owned())
        }
    }
}
