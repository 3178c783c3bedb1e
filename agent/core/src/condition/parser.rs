//! From tokens to a tree, with CEL's precedence.
//!
//! **In:** text.
//! **Out:** a tree of at most [`NODES_MAX`] nodes in which every node knows its place.
//! **Not here:** names, functions and units ([`super::check`]).

use std::ops::Range;

use super::fault::{ConditionFault, piece, quoted};
use super::lexer::{Lexer, Symbol, Token};
use super::{ARGUMENTS_MAX, NESTING_MAX, NODES_MAX, TEXT_BYTES_MAX};

/// One node. The place of one in parentheses includes them.
#[derive(Debug)]
pub(super) struct Expression<'t> {
    pub(super) span: Range<usize>,
    pub(super) syntax: Syntax<'t>,
}

#[derive(Debug)]
pub(super) enum Syntax<'t> {
    Number(f64),
    Text(&'t str),
    Truth(bool),
    Name(&'t str),
    Call {
        function: &'t str,
        called_at: Range<usize>,
        arguments: Vec<Expression<'t>>,
    },
    Not(Box<Expression<'t>>),
    Negate(Box<Expression<'t>>),
    Arithmetic(Arithmetic, Box<[Expression<'t>; 2]>),
    Relation(Relation, Box<[Expression<'t>; 2]>),
    Logic(Logic, Box<[Expression<'t>; 2]>),
    /// Condition, then, else.
    Choice(Box<[Expression<'t>; 3]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logic {
    And,
    Or,
}

impl Arithmetic {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Subtract => "-",
            Arithmetic::Multiply => "*",
            Arithmetic::Divide => "/",
        }
    }
}

impl Relation {
    fn from_symbol(symbol: Symbol) -> Option<Relation> {
        match symbol {
            Symbol::Equal => Some(Relation::Equal),
            Symbol::NotEqual => Some(Relation::NotEqual),
            Symbol::Less => Some(Relation::Less),
            Symbol::LessOrEqual => Some(Relation::LessOrEqual),
            Symbol::Greater => Some(Relation::Greater),
            Symbol::GreaterOrEqual => Some(Relation::GreaterOrEqual),
            Symbol::And
            | Symbol::Or
            | Symbol::Not
            | Symbol::Plus
            | Symbol::Minus
            | Symbol::Times
            | Symbol::Divide
            | Symbol::Open
            | Symbol::Close
            | Symbol::Comma
            | Symbol::Question
            | Symbol::Colon => None,
        }
    }

    pub(super) fn symbol(self) -> &'static str {
        match self {
            Relation::Equal => "==",
            Relation::NotEqual => "!=",
            Relation::Less => "<",
            Relation::LessOrEqual => "<=",
            Relation::Greater => ">",
            Relation::GreaterOrEqual => ">=",
        }
    }
}

/// A whole text as a tree.
#[derive(Debug)]
pub(super) struct Parsed<'t> {
    pub(super) root: Expression<'t>,
    pub(super) n_nodes: usize,
}

pub(super) fn parse(text: &str) -> Result<Parsed<'_>, ConditionFault> {
    if TEXT_BYTES_MAX < text.len() {
        return Err(ConditionFault::new(
            0..0,
            format!("the text has {} bytes, at most {TEXT_BYTES_MAX} are possible", text.len()),
            "move a part of it into the query of an input",
        ));
    }
    let mut parser = Parser::new(text)?;
    if parser.token == Token::End {
        return Err(ConditionFault::new(
            0..0,
            "the text is empty",
            "write for example `params.limit < error_ratio`",
        ));
    }
    let root = parser.choice()?;
    parser.expect_end()?;
    Ok(Parsed { root, n_nodes: parser.n_nodes })
}

struct Parser<'t> {
    text: &'t str,
    lexer: Lexer<'t>,
    token: Token<'t>,
    span: Range<usize>,
    /// End of the token before.
    end: usize,
    n_nodes: usize,
    n_open: usize,
}

type Parse<'t> = Result<Expression<'t>, ConditionFault>;

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Result<Parser<'t>, ConditionFault> {
        let mut lexer = Lexer::new(text);
        let (token, span) = lexer.next()?;
        Ok(Parser { text, lexer, token, span, end: 0, n_nodes: 0, n_open: 0 })
    }

    fn advance(&mut self) -> Result<(), ConditionFault> {
        let (token, span) = self.lexer.next()?;
        self.end = self.span.end;
        self.token = token;
        self.span = span;
        Ok(())
    }

    /// Whether the token is `symbol`; if so, goes on to the next.
    fn take(&mut self, symbol: Symbol) -> Result<bool, ConditionFault> {
        let found = self.token == Token::Symbol(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn node(&mut self, span: Range<usize>, syntax: Syntax<'t>) -> Parse<'t> {
        self.n_nodes += 1;
        if NODES_MAX < self.n_nodes {
            return Err(ConditionFault::new(
                span,
                format!("there are more than {NODES_MAX} parts"),
                "split it into several conditions, or compute a part in a query",
            ));
        }
        Ok(Expression { span, syntax })
    }

    /// One level deeper; bounded before the stack grows.
    fn nested(&mut self, parse: fn(&mut Parser<'t>) -> Parse<'t>) -> Parse<'t> {
        if self.n_open == NESTING_MAX {
            return Err(ConditionFault::new(
                self.span.clone(),
                format!("this is nested more than {NESTING_MAX} levels deep"),
                "split it into several conditions",
            ));
        }
        self.n_open += 1;
        let parsed = parse(self);
        self.n_open -= 1;
        parsed
    }

    fn choice(&mut self) -> Parse<'t> {
        let condition = self.or()?;
        if !self.take(Symbol::Question)? {
            return Ok(condition);
        }
        let then = self.nested(Parser::or)?;
        if self.token == Token::Symbol(Symbol::Question) {
            return Err(ConditionFault::new(
                self.span.clone(),
                "a choice inside of a choice needs parentheses here",
                "write `a ? (b ? x : y) : z`",
            ));
        }
        if !self.take(Symbol::Colon)? {
            return Err(self.unexpected("`:` is missing", "write `condition ? a : b`"));
        }
        let otherwise = self.nested(Parser::choice)?;
        let span = condition.span.start..otherwise.span.end;
        self.node(span, Syntax::Choice(Box::new([condition, then, otherwise])))
    }

    fn or(&mut self) -> Parse<'t> {
        let mut left = self.and()?;
        while self.take(Symbol::Or)? {
            let right = self.and()?;
            let span = left.span.start..right.span.end;
            left = self.node(span, Syntax::Logic(Logic::Or, Box::new([left, right])))?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Parse<'t> {
        let mut left = self.relation()?;
        while self.take(Symbol::And)? {
            let right = self.relation()?;
            let span = left.span.start..right.span.end;
            left = self.node(span, Syntax::Logic(Logic::And, Box::new([left, right])))?;
        }
        Ok(left)
    }

    fn relation(&mut self) -> Parse<'t> {
        let left = self.sum()?;
        let Some(relation) = self.relation_here() else { return Ok(left) };
        self.advance()?;
        let right = self.sum()?;
        if let Some(next) = self.relation_here() {
            let shown = |it: &Range<usize>| piece(self.text, it);
            let (a, b) = (shown(&left.span), shown(&right.span));
            let hint = format!("write `{a} {} {b} && {b} {} …`", relation.symbol(), next.symbol());
            let message = "comparisons cannot be chained";
            return Err(ConditionFault::new(self.span.clone(), message, hint));
        }
        let span = left.span.start..right.span.end;
        self.node(span, Syntax::Relation(relation, Box::new([left, right])))
    }

    fn relation_here(&self) -> Option<Relation> {
        match self.token {
            Token::Symbol(symbol) => Relation::from_symbol(symbol),
            Token::Number(_) | Token::Text(_) | Token::Truth(_) | Token::Name(_) | Token::End => {
                None
            }
        }
    }

    fn sum(&mut self) -> Parse<'t> {
        let mut left = self.product()?;
        loop {
            let operator = if self.take(Symbol::Plus)? {
                Arithmetic::Add
            } else if self.take(Symbol::Minus)? {
                Arithmetic::Subtract
            } else {
                return Ok(left);
            };
            let right = self.product()?;
            let span = left.span.start..right.span.end;
            left = self.node(span, Syntax::Arithmetic(operator, Box::new([left, right])))?;
        }
    }

    fn product(&mut self) -> Parse<'t> {
        let mut left = self.signed()?;
        loop {
            let operator = if self.take(Symbol::Times)? {
                Arithmetic::Multiply
            } else if self.take(Symbol::Divide)? {
                Arithmetic::Divide
            } else {
                return Ok(left);
            };
            let right = self.signed()?;
            let span = left.span.start..right.span.end;
            left = self.node(span, Syntax::Arithmetic(operator, Box::new([left, right])))?;
        }
    }

    fn signed(&mut self) -> Parse<'t> {
        let start = self.span.start;
        if self.take(Symbol::Not)? {
            let inner = self.nested(Parser::signed)?;
            let span = start..inner.span.end;
            return self.node(span, Syntax::Not(Box::new(inner)));
        }
        if self.take(Symbol::Minus)? {
            let inner = self.nested(Parser::signed)?;
            let span = start..inner.span.end;
            return self.node(span, Syntax::Negate(Box::new(inner)));
        }
        self.primary()
    }

    fn primary(&mut self) -> Parse<'t> {
        let span = self.span.clone();
        let syntax = match self.token {
            Token::Number(value) => Syntax::Number(value),
            Token::Text(text) => Syntax::Text(text),
            Token::Truth(holds) => Syntax::Truth(holds),
            Token::Name(name) => {
                self.advance()?;
                if self.token == Token::Symbol(Symbol::Open) {
                    return self.call(name, span);
                }
                return self.node(span, Syntax::Name(name));
            }
            Token::Symbol(Symbol::Open) => return self.group(),
            Token::Symbol(_) => {
                let hint = "write a name, a number or a function";
                return Err(self.unexpected("a value is missing", hint));
            }
            Token::End => {
                return Err(ConditionFault::new(
                    span,
                    "the text ends where a value is missing",
                    "write a name, a number or a function after the last operator",
                ));
            }
        };
        self.advance()?;
        self.node(span, syntax)
    }

    fn group(&mut self) -> Parse<'t> {
        let start = self.span.clone();
        self.advance()?;
        let inner = self.nested(Parser::choice)?;
        if !self.take(Symbol::Close)? {
            return Err(self.unclosed(start));
        }
        Ok(Expression { span: start.start..self.end, syntax: inner.syntax })
    }

    fn call(&mut self, function: &'t str, called_at: Range<usize>) -> Parse<'t> {
        let open = self.span.clone();
        self.advance()?;
        let mut arguments = Vec::new();
        if !self.take(Symbol::Close)? {
            loop {
                if arguments.len() == ARGUMENTS_MAX {
                    return Err(ConditionFault::new(
                        self.span.clone(),
                        format!("a function takes at most {ARGUMENTS_MAX} arguments"),
                        "nest two calls, or compute this in a query",
                    ));
                }
                arguments.push(self.nested(Parser::choice)?);
                if self.take(Symbol::Close)? {
                    break;
                }
                if !self.take(Symbol::Comma)? {
                    return Err(self.unclosed(open));
                }
            }
        }
        let span = called_at.start..self.end;
        self.node(span, Syntax::Call { function, called_at, arguments })
    }

    /// A `)` was expected for the `(` at `open`.
    fn unclosed(&self, open: Range<usize>) -> ConditionFault {
        if self.token == Token::End {
            return ConditionFault::new(open, "this `(` has no `)`", "write the missing `)`");
        }
        self.unexpected("`)` or an operator is missing", "write `)` or an operator before it")
    }

    fn expect_end(&self) -> Result<(), ConditionFault> {
        match self.token {
            Token::End => Ok(()),
            Token::Symbol(Symbol::Close) => Err(ConditionFault::new(
                self.span.clone(),
                "this `)` has no `(`",
                "leave it out, or write the missing `(`",
            )),
            Token::Number(_) | Token::Text(_) | Token::Truth(_) | Token::Name(_) => {
                Err(self
                    .unexpected("an operator is missing", "join two conditions with `&&` or `||`"))
            }
            Token::Symbol(_) => {
                Err(self
                    .unexpected("the expression ends", "leave the rest out, or join it with `&&`"))
            }
        }
    }

    fn unexpected(&self, what: &str, hint: &str) -> ConditionFault {
        let message = match self.token {
            Token::End => format!("{what} at the end"),
            Token::Number(_)
            | Token::Text(_)
            | Token::Truth(_)
            | Token::Name(_)
            | Token::Symbol(_) => format!("{what} before {}", quoted(self.text, &self.span)),
        };
        ConditionFault::new(self.span.clone(), message, hint)
    }
}
