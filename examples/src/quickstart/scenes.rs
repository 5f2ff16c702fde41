//! The client role: each step of the story, with what it checks.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use nebula::call::QuorumError;
use nebula::nodes::{NodeInfo, Nodes, Topology};
use nebula::prelude::*;
use tokio::time::{Instant, sleep};

use super::args::Role;
use super::servers::NAMES;
use super::serving::TAG;
use super::story::Told;
use super::{Broken, Mishap, Servers, Story, Traffic};
use crate::contract::TimeZonesClient;
use crate::zones::{Table, Zone};

/// How long the cluster may take to see who came, who went and how each node fares.
const SEEN_WITHIN: Duration = Duration::from_secs(20);

/// How long a call of the stream may take: longer than a dead node can go unnoticed.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many callers the stream has.
const CALLERS: usize = 4;

/// How many calls of the stream must succeed before and again after the kill.
const ENOUGH: u64 = 200;

/// What a refusal before any call may take: far less than asking a node that is gone.
const AT_ONCE: Duration = Duration::from_millis(100);

/// Plays the whole story with `servers` that are not started yet.
///
/// # Errors
/// The first step that is not as promised.
pub async fn play<W: Write>(
    story: &mut Story<W>,
    servers: &mut Servers,
    role: &Role,
) -> Result<(), Broken> {
    story.step("Three servers start as processes of their own", start(servers)).await?;
    let stage = story.step("Client and servers find each other by themselves", join(role)).await?;
    story.step("Typed calls are answered from the table", stage.ask()).await?;
    story.step("A closure over live figures places a call", stage.place()).await?;
    story.step("All servers read a longer table again", stage.reload(role)).await?;
    story.step("A majority of the servers takes a correction", stage.correct("first")).await?;
    let losing = stage.lose(servers, NAMES[0]);
    story.step("No call fails while a server is killed with SIGKILL", losing).await?;
    story.step("Two of three servers still are a majority", stage.correct("second")).await?;
    let refused = stage.refuse(servers, NAMES[1]);
    story.step("With one of three, a majority is refused before any call", refused).await?;
    let healed = stage.heal(servers, &NAMES[..2]);
    story.step("Both servers come back and the cluster is whole", healed).await?;
    story.step("All leave in order", stage.leave(servers)).await
}

async fn start(servers: &mut Servers) -> Result<Told, Mishap> {
    servers.start_all().await?;
    let line = |(name, server): (&str, &super::ServerProcess)| {
        format!("{name} listens on {}, process {}", server.addr(), server.pid())
    };
    Ok(Told::lines(servers.running().map(line)))
}

/// Starts the client's node: no address of any server is given to it.
async fn join(role: &Role) -> Result<Told<Stage>, Mishap> {
    let mut topology = Topology::new();
    for name in NAMES {
        topology = topology.node(name, [TAG])?;
    }
    let node = Node::builder("client").realm(&role.realm).topology(topology).start().await?;
    let table = Table::load(&role.data)?;
    // A zone whose place is where the questions are asked; other files need not have this one.
    let subject = table.zone("Europe/Berlin").or_else(|| table.zones().first().cloned());
    let subject = subject.ok_or_else(|| Mishap::new("the table is empty"))?;
    let stage = Stage { zones: TimeZonesClient::new(&node), node, table, subject };
    let nodes = stage.until_live(&NAMES).await?;
    let line = |node: NodeInfo| format!("{} joined as {}", node.name(), node.id());
    Ok(Told::with(nodes.with_tag(TAG).map(line).collect::<Vec<_>>(), stage))
}

/// The client's node, and what the servers should say.
struct Stage {
    node: Node,
    zones: TimeZonesClient,
    table: Table,
    subject: Zone,
}

impl Stage {
    async fn ask(&self) -> Result<Told, Mishap> {
        let Zone { name, lat, lon, .. } = &self.subject;
        let country = self.country();
        let zones = self.zones.zones_of(country.clone()).await?;
        let expected = self.table.zones_of(&country);
        Mishap::unless(zones == expected, format!("{zones:?} instead of {expected:?}"))?;
        let nearest = self.zones.nearest(*lat, *lon).await?;
        let expected = self.table.nearest(*lat, *lon);
        Mishap::unless(Some(&nearest) == expected.as_ref(), format!("{nearest:?} near {name}"))?;
        let nowhere = self.zones.nearest(91.0, 0.0).await;
        let Err(CallError::App(error)) = nowhere else {
            return Err(Mishap::new(format!("latitude 91 gave {nowhere:?}")));
        };
        let names: Vec<_> = zones.iter().map(|zone| zone.name.as_str()).collect();
        Ok(Told::lines([
            format!("zones_of({country}) is {}", names.join(", ")),
            format!("nearest({lat:.2}, {lon:.2}) is {}", nearest.name),
            format!("nearest(91, 0) is refused by the service: {error}"),
        ]))
    }

    async fn place(&self) -> Result<Told, Mishap> {
        let measured = |nodes: &Nodes| live(nodes).all(|node| node.runtime().is_some());
        self.until("figures of every server", measured).await?;
        let mut lines = Vec::new();
        let mut chosen = None;
        let (lat, lon) = (self.subject.lat, self.subject.lon);
        let least_loaded = |nodes: Nodes| {
            lines.extend(live(&nodes).map(|node| figures(&node)));
            let load = |node: &NodeInfo| (node.cpu_permille(), node.memory_permille(), node.load());
            chosen = live(&nodes).min_by_key(load);
            chosen.clone()
        };
        let reply = self.zones.nearest(lat, lon).pick(least_loaded).first().await?;
        let chosen = chosen.ok_or_else(|| Mishap::new("no server to choose from"))?;
        let kept = reply.node.id == chosen.id();
        Mishap::unless(kept, format!("{} answered instead of {}", reply.node, chosen.name()))?;
        lines.push(format!("{} was chosen and answered", reply.node));
        Ok(Told::lines(lines))
    }

    async fn reload(&self, role: &Role) -> Result<Told, Mishap> {
        let mut file = File::options().append(true).open(&role.data)?;
        file.write_all(added(&self.table).as_bytes())?;
        let expected = self.table.len() as u64 + 1;
        let replies = self.zones.reload().on(tag(TAG)).all().await?;
        Mishap::unless(replies.len() == NAMES.len(), format!("{} replies", replies.len()))?;
        let mut lines = vec![format!("one line was added to {} zones", self.table.len())];
        for entry in replies {
            let zones = entry.result?;
            let kept = zones == expected;
            Mishap::unless(kept, format!("{} has {zones} zones, not {expected}", entry.node))?;
            lines.push(format!("{} has {zones} zones", entry.node));
        }
        Ok(Told::lines(lines))
    }

    async fn correct(&self, which: &str) -> Result<Told, Mishap> {
        let comment = format!("{which} correction");
        let call = self.zones.correct(self.subject.name.clone(), comment.clone());
        let votes = call.on(tag(TAG)).quorum(majority()).await?;
        let (required, successes) = (votes.required(), votes.successes().len());
        let kept = required == 2 && successes >= required;
        Mishap::unless(kept, format!("{successes} servers took it, {required} were required"))?;
        let holders = self.holders(&comment).await?;
        let kept = holders.len() >= required;
        Mishap::unless(kept, format!("only {holders:?} say so afterwards"))?;
        Ok(Told::lines([
            format!("{required} of {} are required, {successes} took it", NAMES.len()),
            format!("asked again, {} have it", holders.join(", ")),
        ]))
    }

    async fn lose(&self, servers: &mut Servers, name: &str) -> Result<Told, Mishap> {
        let (lat, lon) = (self.subject.lat, self.subject.lon);
        let zones = self.zones.clone();
        let traffic = Traffic::start(CALLERS, move || {
            let zones = zones.clone();
            async move { zones.nearest(lat, lon).timeout(PATIENCE).await.map(drop) }
        });
        self.until_tally(&traffic, ENOUGH).await?;
        let status = servers.kill(name).await?;
        let before = traffic.tally().succeeded;
        let killed = Instant::now();
        let left: Vec<_> = NAMES.into_iter().filter(|other| *other != name).collect();
        self.until_live(&left).await?;
        let noticed = killed.elapsed();
        self.until_tally(&traffic, before + ENOUGH).await?;
        let tally = traffic.stop().await?;
        let told = format!("{} calls failed: {:?}", tally.failed, tally.failures);
        Mishap::unless(tally.failed == 0, told)?;
        Ok(Told::lines([
            format!("{name} ended by {status}; declared dead after {noticed:.1?}"),
            format!("{} calls by {CALLERS} callers, 0 failed", tally.succeeded),
            format!("longest time without an answer: {:.0?}", tally.longest_gap),
            format!("slowest call: {:.0?}", tally.slowest),
        ]))
    }

    async fn refuse(&self, servers: &mut Servers, name: &str) -> Result<Told, Mishap> {
        servers.kill(name).await?;
        let nodes = self.until_live(&NAMES[2..]).await?;
        let comment = "refused correction";
        let from = Instant::now();
        let call = self.zones.correct(self.subject.name.clone(), comment.to_owned());
        let outcome = call.on(tag(TAG)).quorum(majority()).await;
        let took = from.elapsed();
        let Err(QuorumError::Unreachable { workers, required }) = outcome else {
            return Err(Mishap::new(format!("with one server left: {outcome:?}")));
        };
        let kept = (workers, required) == (1, 2);
        Mishap::unless(kept, format!("{required} were required and {workers} live"))?;
        Mishap::unless(took < AT_ONCE, format!("the refusal took {took:.0?}"))?;
        let holders = self.holders(comment).await?;
        Mishap::unless(holders.is_empty(), format!("{holders:?} ran it nevertheless"))?;
        let left: Vec<_> = live(&nodes).map(|node| node.name().to_owned()).collect();
        Ok(Told::lines([
            format!("{name} was killed too, {} is left", left.join(", ")),
            format!("{required} are needed and {workers} lives: refused in {took:.0?}"),
            format!("asked again, {} has not seen the correction", left.join(", ")),
        ]))
    }

    async fn heal(&self, servers: &mut Servers, names: &[&str]) -> Result<Told, Mishap> {
        let mut lines = Vec::new();
        for name in names {
            let server = servers.start(name).await?;
            lines.push(format!("{name} is back on {}, process {}", server.addr(), server.pid()));
        }
        self.until_live(&NAMES).await?;
        let comment = "last correction";
        let call = self.zones.correct(self.subject.name.clone(), comment.to_owned());
        let replies = call.on(tag(TAG)).all().await?;
        for entry in replies {
            entry.result?;
        }
        let holders = self.holders(comment).await?;
        let kept = holders.len() == NAMES.len();
        Mishap::unless(kept, format!("only {holders:?} have the last correction"))?;
        lines.push(format!("a correction sent to all: {} have it", holders.join(", ")));
        Ok(Told::lines(lines))
    }

    async fn leave(&self, servers: &mut Servers) -> Result<Told, Mishap> {
        let ended = servers.stop_all().await?;
        for (name, status) in &ended {
            Mishap::unless(status.success(), format!("{name} ended with {status}"))?;
        }
        self.node.shutdown().await?;
        Ok(Told::lines([format!("{} servers and the client left", ended.len())]))
    }

    fn country(&self) -> String {
        self.subject.countries.first().cloned().unwrap_or_default()
    }

    /// The servers on which the subject has this comment. All live ones must answer.
    async fn holders(&self, comment: &str) -> Result<Vec<String>, Mishap> {
        let mut holders = Vec::new();
        for entry in self.zones.zones_of(self.country()).on(tag(TAG)).all().await? {
            let has = |zone: &Zone| {
                zone.name == self.subject.name && zone.comment.as_deref() == Some(comment)
            };
            if entry.result?.iter().any(has) {
                holders.push(entry.node.to_string());
            }
        }
        Ok(holders)
    }

    /// Waits until exactly these servers are live in the client's view.
    async fn until_live(&self, names: &[&str]) -> Result<Nodes, Mishap> {
        let same = |nodes: &Nodes| {
            let mut seen: Vec<_> = live(nodes).map(|node| node.name().to_owned()).collect();
            seen.sort();
            seen == names
        };
        self.until(&format!("{} alone being live", names.join(", ")), same).await
    }

    async fn until(&self, what: &str, met: impl Fn(&Nodes) -> bool) -> Result<Nodes, Mishap> {
        let deadline = Instant::now() + SEEN_WITHIN;
        loop {
            let nodes = self.node.nodes();
            if met(&nodes) {
                return Ok(nodes);
            }
            if Instant::now() >= deadline {
                let within = SEEN_WITHIN.as_secs();
                return Err(Mishap::new(format!("{what} not seen within {within} s: {nodes:?}")));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn until_tally(&self, traffic: &Traffic, succeeded: u64) -> Result<(), Mishap> {
        let deadline = Instant::now() + SEEN_WITHIN;
        while traffic.tally().succeeded < succeeded {
            let tally = traffic.tally();
            let on = tally.failed == 0 && Instant::now() < deadline;
            Mishap::unless(on, format!("the stream of calls broke off: {tally:?}"))?;
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

/// The servers that are members, not leaving, and known to serve the contract. One that was just
/// killed is a member until the others have agreed that it is dead.
fn live(nodes: &Nodes) -> impl Iterator<Item = NodeInfo> + use<> {
    nodes.with_tag(TAG).filter(|node| !node.draining() && node.services().next().is_some())
}

fn figures(node: &NodeInfo) -> String {
    let share = |permille: u32| f64::from(permille) / 10.0;
    let (cpu, memory) = (share(node.cpu_permille()), share(node.memory_permille()));
    let load = node.load().unwrap_or_default();
    format!("{}: CPU {cpu:.1} %, memory {memory:.1} %, {load} calls", node.name())
}

/// A row that `table` does not have.
fn added(table: &Table) -> String {
    let free = (0_usize..)
        .map(|n| format!("Quickstart/Added_{n}"))
        .find(|name| table.zone(name).is_none());
    format!("XX\t-9000+00000\t{}\n", free.unwrap_or_default())
}
