//! The story: numbered steps, each with what it promises, what happened and how long it took.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::io::Write;
use std::time::Duration;

use tokio::time::{Instant, timeout};

/// How long a step may take before it counts as broken.
pub const STEP_LIMIT: Duration = Duration::from_secs(45);

/// Tells steps in readable lines. Written to `out`, whose errors are ignored: a reader that goes
/// away does not change how the story ends.
#[derive(Debug)]
pub struct Story<W> {
    out: W,
    begun: Instant,
    steps: u32,
}

/// What a step has to say, a line each, and what later steps need of it.
#[derive(Clone, Debug)]
pub struct Told<T = ()> {
    /// The lines.
    pub lines: Vec<String>,
    /// The rest.
    pub value: T,
}

/// What happened instead of what was promised.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mishap(String);

/// A step was not as promised. The story has said so already.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("step {step} was not as promised: {mishap}")]
pub struct Broken {
    /// Its number, from 1.
    pub step: u32,
    /// What happened.
    pub mishap: String,
}

impl<W: Write> Story<W> {
    /// A story without steps so far; its clock runs from now.
    pub fn new(out: W) -> Self {
        Self { out, begun: Instant::now(), steps: 0 }
    }

    /// Plays `scene` as the next step and tells what came of it. `promise` is one sentence without
    /// a full stop.
    ///
    /// # Errors
    /// The scene failed or took longer than [`STEP_LIMIT`].
    pub async fn step<T>(
        &mut self,
        promise: &str,
        scene: impl Future<Output = Result<Told<T>, Mishap>>,
    ) -> Result<T, Broken> {
        self.steps += 1;
        let step = self.steps;
        self.say(&format!("{step:2}. {promise}."));
        let from = Instant::now();
        let outcome = timeout(STEP_LIMIT, scene).await.unwrap_or_else(|_| {
            Err(Mishap::new(format!("no end after {} s", STEP_LIMIT.as_secs())))
        });
        let took = from.elapsed().as_millis();
        match outcome {
            Ok(Told { lines, value }) => {
                for line in lines {
                    self.say(&format!("    {line}"));
                }
                self.say(&format!("    As promised, in {took} ms.\n"));
                Ok(value)
            }
            Err(Mishap(mishap)) => {
                self.say(&format!("    BROKEN after {took} ms."));
                self.say(&format!("    promised: {promise}"));
                self.say(&format!("    happened: {}\n", mishap.replace('\n', "\n              ")));
                Err(Broken { step, mishap })
            }
        }
    }

    /// Says how it ended.
    pub fn end(mut self) {
        let took = self.begun.elapsed().as_secs_f64();
        self.say(&format!("All {} steps were as promised, in {took:.1} s.", self.steps));
    }

    fn say(&mut self, line: &str) {
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
    }
}

impl<T> Told<T> {
    /// Some lines and a value.
    pub fn with(lines: impl IntoIterator<Item = impl Into<String>>, value: T) -> Self {
        Self { lines: lines.into_iter().map(Into::into).collect(), value }
    }
}

impl Told {
    /// Some lines.
    pub fn lines(lines: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::with(lines, ())
    }
}

impl Mishap {
    /// What happened, as a sentence.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// `Ok` if `kept`, else what happened.
    ///
    /// # Errors
    /// `kept` is false.
    pub fn unless(kept: bool, what: impl Display) -> Result<(), Self> {
        if kept { Ok(()) } else { Err(Self(what.to_string())) }
    }
}

impl Display for Mishap {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `Mishap` is no `Error` itself, which is what lets `?` take all of them.
impl<E: Error> From<E> for Mishap {
    fn from(error: E) -> Self {
        // The alternate form of a failed call lists what was tried.
        Self(format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(out: &[u8]) -> &str {
        std::str::from_utf8(out).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn steps_are_numbered_and_timed() {
        let mut out = Vec::new();
        let mut story = Story::new(&mut out);
        let value = story.step("Three is found", async { Ok(Told::with(["it is 3"], 3)) }).await;
        assert_eq!(value, Ok(3));
        let slow = async {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            Ok(Told::lines(["one", "two"]))
        };
        story.step("Time passes", slow).await.unwrap();
        story.end();
        assert_eq!(
            text(&out),
            " 1. Three is found.\n    it is 3\n    As promised, in 0 ms.\n\n \
             2. Time passes.\n    one\n    two\n    As promised, in 1500 ms.\n\n\
             All 2 steps were as promised, in 1.5 s.\n"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_step_says_what_was_promised_and_what_happened() {
        let mut out = Vec::new();
        let mut story = Story::new(&mut out);
        let scene = async {
            Mishap::unless(1 + 1 == 3, "1 + 1 gave 2")?;
            Ok(Told::lines(["never told"]))
        };
        let broken = story.step("1 + 1 is 3", scene).await.unwrap_err();
        assert_eq!((broken.step, broken.mishap.as_str()), (1, "1 + 1 gave 2"));
        assert_eq!(
            text(&out),
            " 1. 1 + 1 is 3.\n    BROKEN after 0 ms.\n    promised: 1 + 1 is 3\n    \
             happened: 1 + 1 gave 2\n\n"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_without_end_is_broken() {
        let scene = std::future::pending::<Result<Told, Mishap>>();
        let broken = Story::new(Vec::new()).step("It ends", scene).await.unwrap_err();
        assert_eq!(broken.mishap, "no end after 45 s");
    }
}
