//! What a service should be after each operation, as simply as it can be said.

use nebula::{Admin, Running};

use crate::odds::{Doing, name};

/// What is asked of a service.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// A plugin of this kind, with a size or a wrong one, which only one kind takes.
    Add(u8, Doing, Option<Size>),
    Remove(&'static str),
    Replace(u8, Doing),
    Restart(&'static str),
    Reconfigure(Patch),
    Reset,
    Pause,
    Activate,
    Deactivate,
    Drain,
    /// Whether plugin 4 is ready from now on.
    Ready(bool),
    Stop,
}

/// The size of plugin 1 as somebody wrote it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Size {
    Number(u32),
    Text,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Patch {
    Nonsense,
    Values(Option<u32>, Option<Size>),
}

impl Patch {
    pub(crate) fn text(self) -> String {
        let size = |size| match size {
            Size::Number(size) => format!("plugins.p1.size = {size}\n"),
            Size::Text => "plugins.p1.size = \"much\"\n".to_owned(),
        };
        match self {
            Self::Nonsense => "limit = ".to_owned(),
            Self::Values(limit, said) => {
                let limit = limit.map(|limit| format!("limit = {limit}\n"));
                limit.unwrap_or_default() + &said.map(size).unwrap_or_default()
            }
        }
    }
}

/// What whoever asked was told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Told {
    Done,
    /// A plugin of the name was there.
    No,
    /// There is no plugin of the name.
    Unknown,
    /// Another plugin needs it.
    Needed,
    /// The plugins have no order.
    Disordered,
    /// The configuration is wrong.
    Wrong,
    /// A plugin does not start, or does not take its configuration.
    Refused,
    /// The service has failed, or is as failed as it was.
    Failed,
    /// The service is no more.
    Gone,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Item {
    kind: u8,
    doing: Doing,
    started: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Model {
    /// As they were asked for.
    listed: Vec<Item>,
    /// In their order.
    items: Vec<Item>,
    limit: Option<u32>,
    size: Option<Size>,
    /// The size that its plugin was added with.
    added: Option<Size>,
    pub(crate) admin: Admin,
    up: bool,
    pub(crate) failed: bool,
    draining: bool,
    ready: bool,
    pub(crate) gone: bool,
}

impl Model {
    pub(crate) fn running() -> Self {
        Self {
            listed: Vec::new(),
            items: Vec::new(),
            limit: None,
            size: None,
            added: None,
            admin: Admin::Active,
            up: true,
            failed: false,
            draining: false,
            ready: true,
            gone: false,
        }
    }

    pub(crate) fn plugins(&self) -> Vec<String> {
        self.items.iter().map(|item| name(item.kind).to_owned()).collect()
    }

    pub(crate) fn started(&self) -> Vec<String> {
        let mut names = if self.up { self.plugins() } else { Vec::new() };
        names.sort();
        names
    }

    pub(crate) fn children(&self) -> i32 {
        i32::from(self.up && self.has(0))
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit.unwrap_or(1)
    }

    pub(crate) fn size(&self) -> Option<u32> {
        self.has(1).then(|| self.wanted().unwrap_or_default())
    }

    pub(crate) fn state(&self) -> Running {
        match self.admin {
            _ if self.failed => Running::Failed,
            Admin::Active => Running::Running,
            Admin::Paused => Running::Paused,
            Admin::Inactive => Running::Stopped,
        }
    }

    pub(crate) fn takes_calls(&self) -> bool {
        self.state() == Running::Running && !self.draining && self.is_ready()
    }

    /// Whether it is asked now and then whether it is ready.
    pub(crate) fn is_asked(&self) -> bool {
        self.has(4)
    }

    fn is_ready(&self) -> bool {
        self.ready || !self.has(4)
    }

    fn has(&self, kind: u8) -> bool {
        self.items.iter().any(|item| item.kind == kind)
    }

    /// The size in force; none if what was said is none.
    fn wanted(&self) -> Option<u32> {
        match self.size {
            None => Some(1),
            Some(Size::Number(size)) => Some(size),
            Some(Size::Text) => None,
        }
    }

    pub(crate) fn ask(&mut self, op: &Op) -> Told {
        if let Op::Ready(ready) = op {
            self.ready = *ready;
            return Told::Done;
        }
        if self.gone {
            return Told::Gone;
        }
        match op {
            Op::Add(kind, doing, size) => self.add(*kind, *doing, *size),
            Op::Remove(gone) => self.remove(gone),
            Op::Replace(kind, doing) => self.replace(*kind, *doing),
            Op::Restart(again) => self.restart(again),
            Op::Reconfigure(patch) => self.reconfigure(*patch),
            Op::Reset => self.configure(None, self.added),
            Op::Pause => {
                self.admin = Admin::Paused;
                if self.failed { Told::Failed } else { Told::Done }
            }
            Op::Activate => {
                self.draining = false;
                self.admin = Admin::Active;
                if self.up || self.attempt() { Told::Done } else { Told::Failed }
            }
            Op::Deactivate => {
                if self.admin != Admin::Inactive {
                    self.draining = false;
                }
                self.admin = Admin::Inactive;
                (self.up, self.failed) = (false, false);
                Told::Done
            }
            Op::Drain => {
                self.draining = true;
                Told::Done
            }
            Op::Stop => {
                (self.admin, self.up, self.failed, self.gone) =
                    (Admin::Inactive, false, false, true);
                Told::Done
            }
            Op::Ready(_) => Told::Done,
        }
    }

    /// Starts all, lowest first, until one fails.
    pub(crate) fn attempt(&mut self) -> bool {
        let wanted = self.wanted();
        for at in (0..self.items.len()).rev() {
            let item = &mut self.items[at];
            if !starts(item, wanted) {
                (self.up, self.failed) = (false, true);
                return false;
            }
            item.started = true;
            let (kind, started) = (item.kind, *item);
            for listed in self.listed.iter_mut().filter(|listed| listed.kind == kind) {
                *listed = started;
            }
        }
        (self.up, self.failed) = (true, false);
        true
    }

    fn add(&mut self, kind: u8, doing: Doing, size: Option<Size>) -> Told {
        if self.items.iter().any(|item| name(item.kind) == name(kind)) {
            return Told::No;
        }
        let mut next = self.clone();
        next.listed.push(Item { kind, doing, started: false });
        if kind != 1 && size.is_some() {
            return if next.resolve().is_some() { Told::Unknown } else { Told::Disordered };
        }
        next.size = size.or(next.size);
        next.added = size.or(next.added);
        self.become_if(next)
    }

    /// The plugin of this name.
    fn called(&self, called: &str) -> Option<u8> {
        self.items.iter().map(|item| item.kind).find(|kind| name(*kind) == called)
    }

    fn is_needed(&self, kind: u8) -> bool {
        kind == 0 && self.has(2) || kind == 4 && self.has(3)
    }

    fn remove(&mut self, gone: &str) -> Told {
        match self.called(gone) {
            None => return Told::Unknown,
            Some(kind) if self.is_needed(kind) => return Told::Needed,
            Some(_) => {}
        }
        let mut next = self.clone();
        next.listed.retain(|item| name(item.kind) != gone);
        if gone == "p1" {
            (next.size, next.added) = (None, None);
        }
        self.become_if(next)
    }

    fn replace(&mut self, kind: u8, doing: Doing) -> Told {
        let new = Item { kind, doing, started: false };
        match self.called(name(kind)) {
            None => return Told::Unknown,
            Some(other) if other != kind && self.is_needed(other) => return Told::Needed,
            Some(_) => {}
        }
        let mut next = self.clone();
        match next.listed.iter_mut().find(|item| name(item.kind) == name(kind)) {
            Some(place) => *place = new,
            None => next.listed.push(new),
        }
        next.items.retain(|item| name(item.kind) != name(kind));
        self.become_if(next)
    }

    fn restart(&mut self, again: &str) -> Told {
        let Some(at) = self.items.iter().position(|item| name(item.kind) == again) else {
            return Told::Unknown;
        };
        if self.up && !starts(&self.items[at], self.wanted()) {
            (self.up, self.failed) = (false, true);
            return Told::Failed;
        }
        Told::Done
    }

    fn reconfigure(&mut self, patch: Patch) -> Told {
        match patch {
            Patch::Nonsense => Told::Wrong,
            Patch::Values(_, Some(_)) if !self.has(1) => Told::Unknown,
            Patch::Values(limit, size) => self.configure(limit.or(self.limit), size.or(self.size)),
        }
    }

    fn configure(&mut self, limit: Option<u32>, size: Option<Size>) -> Told {
        let before = self.clone();
        (self.limit, self.size) = (limit, size);
        let is_valid = self.limit() <= 100 && !(self.has(1) && self.wanted().is_none());
        let told = self.up && self.has(1) && self.wanted() != before.wanted();
        let fails = match self.wanted() {
            _ if !is_valid => true,
            Some(13) => told,
            Some(14 | 15) if told => self.restart("p1") == Told::Failed,
            _ => false,
        };
        if !fails {
            return Told::Done;
        }
        let was_stopped = is_valid && self.wanted() != Some(13);
        *self = before;
        // It is taken back, and the plugin started with what it had, if it can be.
        if was_stopped && self.restart("p1") == Told::Failed {
            return Told::Failed;
        }
        if is_valid { Told::Refused } else { Told::Wrong }
    }

    fn become_if(&mut self, mut next: Self) -> Told {
        let Some(items) = next.resolve() else { return Told::Disordered };
        next.items = items;
        let wanted = next.wanted();
        if next.has(1) && wanted.is_none() {
            return Told::Wrong;
        }
        if next.up {
            for item in next.items.iter_mut().filter(|item| !item.started) {
                if !starts(item, wanted) {
                    return Told::Refused;
                }
                item.started = true;
            }
        }
        for listed in &mut next.listed {
            let item = next.items.iter().find(|item| item.kind == listed.kind);
            *listed = item.copied().unwrap_or(*listed);
        }
        *self = next;
        Told::Done
    }

    /// The plugins in their order, if they have one.
    fn resolve(&self) -> Option<Vec<Item>> {
        let mut all = self.listed.clone();
        let is_there = |all: &[Item], kind| all.iter().any(|item| item.kind == kind);
        if is_there(&all, 2) && !is_there(&all, 0) {
            return None;
        }
        if is_there(&all, 3) && !is_there(&all, 4) {
            let known = self.items.iter().find(|item| item.kind == 4).copied();
            all.push(known.unwrap_or(Item { kind: 4, doing: Doing::Well, started: false }));
        }
        let mut sorted = Vec::new();
        while !all.is_empty() {
            let above = |below: u8| match below {
                0 => 2,
                4 => 3,
                6 => 5,
                5 => 6,
                _ => u8::MAX,
            };
            let free = all.iter().position(|item| !is_there(&all, above(item.kind)))?;
            sorted.push(all.remove(free));
        }
        Some(sorted)
    }
}

fn starts(item: &Item, wanted: Option<u32>) -> bool {
    match item.doing {
        Doing::Fails | Doing::Panics => false,
        Doing::Once if item.started => false,
        Doing::Well | Doing::Once => item.kind != 1 || wanted != Some(15),
    }
}
