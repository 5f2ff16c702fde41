//! What a program shows of itself: traces, spans and events, on nodes of an in-memory network in
//! virtual time. The numbers are those of the cases of Malla.

#[path = "observe/durations.rs"]
mod durations;
#[path = "observe/events.rs"]
mod events;
#[path = "observe/intercept.rs"]
mod intercept;
#[path = "observe/measures.rs"]
mod measures;
#[path = "observe/raw.rs"]
mod raw;
#[path = "living/site.rs"]
#[expect(dead_code, reason = "made for other tests, too")]
mod site;
#[path = "observe/spans.rs"]
mod spans;
#[path = "observe/trace.rs"]
mod trace;
#[path = "observe/world.rs"]
mod world;
