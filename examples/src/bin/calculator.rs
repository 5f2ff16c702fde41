//! A service that is all plugins, and changes while it is called:
//! `cargo run -p examples --bin calculator`.

use std::fmt;

use nebula::config::{Invalid, Schema};
use nebula::plugin::{Around, Hooks, Inbound, Plugin, Refusal};
use nebula::prelude::*;
use nebula::{Service, Status};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
enum Number {
    Whole(i64),
    Real(f64),
}

impl Number {
    fn real(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Real(real) => real,
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(whole) => write!(f, "{whole}"),
            Self::Real(real) => write!(f, "{real:?}"),
        }
    }
}

#[derive(Debug, Deserialize, Serialize, thiserror::Error)]
#[error("this calculator does not know how")]
struct Unknown;

#[service]
trait Calculator {
    #[api(idempotent)]
    async fn add(&self, left: Number, right: Number) -> Result<Number, Unknown>;
    #[api(idempotent)]
    async fn multiply(&self, left: Number, right: Number) -> Result<Number, Unknown>;
    #[api(idempotent)]
    async fn divide(&self, left: Number, right: Number) -> Result<Number, Unknown>;
}

/// Knows nothing by itself.
struct Bare;

impl Calculator for Bare {
    async fn add(&self, _: Number, _: Number) -> Result<Number, Unknown> {
        Err(Unknown)
    }

    async fn multiply(&self, _: Number, _: Number) -> Result<Number, Unknown> {
        Err(Unknown)
    }

    async fn divide(&self, left: Number, right: Number) -> Result<Number, Unknown> {
        Ok(Number::Real(left.real() / right.real()))
    }
}

/// Answers the calls of one method.
struct Knows(&'static str, fn(i64, i64) -> i64, fn(f64, f64) -> f64);

impl Plugin for Knows {
    const HOOKS: Hooks = Hooks::BEFORE;

    fn name(&self) -> std::borrow::Cow<'static, str> {
        self.0.into()
    }

    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
        if call.method() != self.0 {
            return Ok(());
        }
        let Some((left, right)) = call.args::<(Number, Number)>().copied() else { return Ok(()) };
        let answer = match (left, right) {
            (Number::Whole(left), Number::Whole(right)) => Number::Whole((self.1)(left, right)),
            (left, right) => Number::Real((self.2)(left.real(), right.real())),
        };
        // The type is what the method returns in its `Ok`.
        call.answer(answer).map_err(|wrong| Refusal::Failed(wrong.to_string()))
    }
}

/// Says what passes, and refuses what nobody should ask.
struct Guard;

impl Plugin for Guard {
    const HOOKS: Hooks = Hooks::BEFORE;

    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
        let method = call.method();
        let Some((left, right)) = call.args::<(Number, Number)>() else { return Ok(()) };
        println!("  {method}({left}, {right})");
        if method == "divide" && right.real() == 0.0 {
            return Err(Status::bad_request("nobody divides by zero").into());
        }
        Ok(())
    }
}

/// Makes all numbers real ones, and nobody below has to know.
struct Float;

impl Plugin for Float {
    const HOOKS: Hooks = Hooks::BEFORE;

    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
        if let Some((left, right)) = call.args::<(Number, Number)>() {
            (*left, *right) = (Number::Real(left.real()), Number::Real(right.real()));
        }
        Ok(())
    }
}

#[derive(Deserialize, Serialize)]
struct Rounding {
    decimals: u32,
}

/// Rounds what is returned, as its section of the configuration says at that moment.
struct Round;

impl Plugin for Round {
    const HOOKS: Hooks = Hooks::AROUND;

    fn name(&self) -> std::borrow::Cow<'static, str> {
        "round".into()
    }

    fn config(&self) -> Option<Schema> {
        Some(Schema::checked(Rounding { decimals: 2 }, |config| match config.decimals {
            0..=9 => Ok(()),
            _ => Err(Invalid::new("decimals", "there are at most 9")),
        }))
    }

    async fn around(&self, mut call: Around<'_>) -> Result<(), Refusal> {
        call.next().await?;
        let Some(config) = call.host().config::<Rounding>() else { return Ok(()) };
        if let Some(Number::Real(real)) = call.reply::<Number>() {
            let unit = 10_f64.powi(config.decimals as i32);
            *real = (*real * unit).round() / unit;
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> nebula::Result<()> {
    let node = Node::builder("desk").realm("calculator").start().await?;
    let service = Service::new(Bare)
        .plugin(Guard)
        .plugin(Float)
        .plugin(Round)
        .plugin(Knows("add", |a, b| a + b, |a, b| a + b))
        .plugin(Knows("multiply", |a, b| a * b, |a, b| a * b))
        .start_on(&node)
        .await?;
    println!("plugins, the first one on top: {}", service.plugins().join(", "));
    let (six, seven) = (Number::Whole(6), Number::Whole(7));
    let calculator = CalculatorClient::new(&node);
    println!("6 + 7 = {}", calculator.add(six, seven).await?);
    println!("6 * 7 = {}", calculator.multiply(six, seven).await?);

    service.remove_plugin("Float").await?;
    println!("without Float: 6 + 7 = {}", calculator.add(six, seven).await?);
    service.add_plugin(Float).await?;
    println!("with it again: 6 + 7 = {}", calculator.add(six, seven).await?);

    println!("6 / 7 = {}", calculator.divide(six, seven).await?);
    service.reconfigure("plugins.round.decimals = 4").await?;
    println!("with four decimals: 6 / 7 = {}", calculator.divide(six, seven).await?);
    let refused = service.reconfigure("plugins.round.decimals = 12").await.unwrap_err();
    println!("refused: {refused}");
    println!("still: 6 / 7 = {}", calculator.divide(six, seven).await?);

    let zero = calculator.divide(six, Number::Whole(0)).await.unwrap_err();
    println!("6 / 0: {}", zero.denial().map_or_else(|| zero.to_string(), Status::to_string));
    service.stop().await?;
    node.shutdown().await
}
