//! What goes back beside a reply: what the handler and the plugins say, and who reads it where.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use nebula::plugin::{Around, Finished, Hooks, Inbound, Plugin, Refusal};
use nebula::prelude::*;
use nebula::{Context, HeaderError, Headers, NotSaid, Service};
use tokio::sync::oneshot;

use crate::site::{Notes, Site, until};

const SECOND: Duration = Duration::from_secs(1);

/// Says things beside what it returns.
#[service(global)]
trait Desk {
    /// Its own number, as often as it was asked by now.
    #[api(idempotent)]
    async fn count(&self, cx: &Context) -> u32;
    /// An error of its own below seven.
    #[api]
    async fn check(&self, cx: &Context, number: u32) -> Result<u32, String>;
    /// The same in a task of its own.
    #[api(spawn)]
    async fn apart(&self, cx: &Context, number: u32) -> Result<u32, String>;
    /// Says so many headers.
    #[api]
    async fn many(&self, cx: &Context, headers: u32) -> Vec<Option<String>>;
    #[api]
    async fn panics(&self, cx: &Context);
    /// Says it after a while, from a task, and leaves the task alone.
    #[api]
    async fn later(&self, cx: &Context);
}

#[derive(Clone, Default)]
struct Clerk {
    number: u32,
    asked: Arc<AtomicU32>,
    /// What a task that outlives its call was told.
    told: Notes,
    /// It never answers.
    sleeps: bool,
}

fn say(cx: &Context, key: &str, value: impl AsRef<str>) {
    cx.reply_header(key, value).unwrap();
}

impl Desk for Clerk {
    async fn count(&self, cx: &Context) -> u32 {
        self.asked.fetch_add(1, SeqCst);
        say(cx, "clerk", self.number.to_string());
        if self.sleeps {
            let (cx, told) = (cx.clone(), self.told.clone());
            tokio::spawn(async move {
                tokio::time::sleep(2 * SECOND).await;
                told.note(format!("{:?}", cx.reply_header("task", "1")));
            });
            std::future::pending().await
        }
        self.number
    }

    async fn check(&self, cx: &Context, number: u32) -> Result<u32, String> {
        say(cx, "rows", "none yet");
        assert_eq!(cx.reply_header("Rows", "x"), Err(NotSaid::Bounds(HeaderError::Key)));
        say(cx, "rows", number.to_string());
        if number < 7 { Err("too low".into()) } else { Ok(number) }
    }

    async fn apart(&self, cx: &Context, number: u32) -> Result<u32, String> {
        self.check(cx, number).await
    }

    async fn many(&self, cx: &Context, headers: u32) -> Vec<Option<String>> {
        let said = |n| cx.reply_header(format!("k{n:02}"), "v").err().map(|e| e.to_string());
        let mut refused: Vec<_> = (0..headers).map(said).collect();
        let long = cx.reply_header("k00", "v".repeat(1025)).err().map(|error| error.to_string());
        refused.push(long);
        refused
    }

    async fn panics(&self, cx: &Context) {
        say(cx, "rows", "1");
        panic!("on purpose")
    }

    async fn later(&self, cx: &Context) {
        let (cx, told) = (cx.clone(), self.told.clone());
        let (tell, done) = oneshot::channel();
        tokio::spawn(async move {
            say(&cx, "rows", "1");
            let _ = tell.send(());
            tokio::time::sleep(SECOND).await;
            told.note(format!("{:?}", cx.reply_header("rows", "2")));
        });
        done.await.unwrap();
    }
}

/// The only entry, and what went back beside it.
fn only<T: Clone, E: Clone>(replies: Replies<T, E>) -> (Entry<T, E>, Option<Headers>) {
    let [entry] = &replies.iter().collect::<Vec<_>>()[..] else { panic!("one entry") };
    (Entry::clone(entry), replies.headers(entry.node.id).cloned())
}

/// These headers and no others.
fn headers(said: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    said.iter().for_each(|(key, value)| headers.insert(key, value).unwrap());
    headers
}

/// A node that serves, and one that knows of it.
async fn pair(site: &mut Site, service: Service) -> [Node; 2] {
    let (server, caller) = (site.node("server").await, site.node("caller").await);
    service.start_on(&server).await.unwrap();
    let far = DeskClient::new(&caller);
    until("it is known", || !far.count().available_nodes().is_empty()).await;
    [server, caller]
}

/// REQ-09: a call without a node, one that stays on its node and one that goes to another have the
/// same go back; the last value of a key counts, and what is no header is refused in the handler
/// alone.
#[tokio::test(start_paused = true)]
async fn what_the_handler_says_goes_back() {
    let clerk = Clerk { number: 3, ..Clerk::default() };
    let told = clerk.told.clone();
    let mut site = Site::new();
    let nodes = pair(&mut site, Service::new(clerk.clone())).await;
    let clients =
        [DeskClient::local(clerk), DeskClient::new(&nodes[0]), DeskClient::new(&nodes[1])];
    for (client, name) in clients.into_iter().zip(["local", "server", "server"]) {
        let reply = client.count().reply().await.unwrap();
        assert_eq!((reply.value, reply.node.to_string()), (3, name.into()));
        assert_eq!(reply.headers, headers(&[("clerk", "3")]));
        for call in [client.check(8).reply().await, client.apart(8).reply().await] {
            let reply = call.unwrap();
            assert_eq!((reply.value, &reply.headers), (8, &headers(&[("rows", "8")])));
        }
        // The plain call does not see them, and is what it was.
        assert_eq!(client.check(8).await, Ok(8));
        assert!(matches!(client.check(1).reply().await, Err(CallError::App(_))));
        for all in [client.check(1).all().await, client.apart(1).all().await] {
            let (entry, said) = only(all.unwrap());
            assert_eq!(entry.result, Err(CallError::App("too low".into())));
            assert_eq!(said, Some(headers(&[("rows", "1")])));
        }
        let (failed, said) = only(client.panics().all().await.unwrap());
        assert!(matches!(failed.result, Err(CallError::Panicked { .. })), "{failed:?}");
        assert_eq!(said, None);
        let reply = client.later().reply().await.unwrap();
        assert_eq!(reply.headers, headers(&[("rows", "1")]));
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!(told.take(), ["Err(Over)"]);
    }
}

/// No more go back than a message has, and none that are too long; those that fit do.
#[tokio::test(start_paused = true)]
async fn what_does_not_fit_stays_here() {
    let mut site = Site::new();
    let nodes = pair(&mut site, Service::new(Clerk::default())).await;
    for node in &nodes {
        let reply = DeskClient::new(node).many(40).reply().await.unwrap();
        let (said, refused) = reply.value.split_at(32);
        assert!(said.iter().all(Option::is_none), "{said:?}");
        let (long, many) = refused.split_last().unwrap();
        let too_many = "a message has 32 headers at most: remove another one first";
        assert!(many.iter().all(|why| why.as_deref() == Some(too_many)), "{many:?}");
        let too_long = "a header's value takes 1025 bytes, more than 1024: shorten it";
        assert_eq!(long.as_deref(), Some(too_long));
        assert_eq!((reply.headers.len(), reply.headers.get("k00")), (32, Some("v")));
    }
}

/// Says something in each of its hooks, and notes what was said by then.
struct Stamps(Notes);

impl Stamps {
    fn stamp(&self, cx: &Context, hook: &str) {
        let said = cx.reply_headers();
        self.0.note(format!(
            "{hook} {}",
            said.iter().map(|(key, _)| key).collect::<Vec<_>>().join(" ")
        ));
        say(cx, hook, "1");
    }
}

impl Plugin for Stamps {
    const HOOKS: Hooks = Hooks::BEFORE.and(Hooks::AROUND).and(Hooks::AFTER);

    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
        self.stamp(call.context(), "before");
        Ok(())
    }

    async fn around(&self, mut call: Around<'_>) -> Result<(), Refusal> {
        self.stamp(call.context(), "above");
        call.next().await?;
        if call.header("stop").is_some() {
            return Err(Refusal::denied("not you"));
        }
        // The plugin has the last word.
        say(call.context(), "rows", "many");
        self.stamp(call.context(), "below");
        Ok(())
    }

    fn after(&self, call: &mut Finished<'_>) {
        self.stamp(call.context(), "z-after");
    }
}

/// Answers what it knows in place of the method.
struct Knows;

impl Plugin for Knows {
    const HOOKS: Hooks = Hooks::BEFORE;

    fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
        say(call.context(), "known", "yes");
        match call.args::<(u32,)>() {
            Some((9,)) => call.answer(9_u32).map_err(|wrong| Refusal::Failed(wrong.to_string())),
            Some((10,)) => Err(Refusal::denied("nobody knows")),
            _ => Ok(()),
        }
    }
}

/// REQ-09: plugins say something in every hook, hear what was said before, and have the last word; of
/// a call that one of them refuses nothing goes back.
#[tokio::test(start_paused = true)]
async fn plugins_say_and_hear_what_goes_back() {
    let mut site = Site::new();
    let notes = Notes::default();
    let service = Service::new(Clerk::default()).plugin(Stamps(notes.clone()));
    for node in pair(&mut site, service).await {
        let desk = DeskClient::new(&node);
        let reply = desk.check(8).reply().await.unwrap();
        let keys: Vec<_> = reply.headers.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["above", "before", "below", "rows", "z-after"]);
        assert_eq!(reply.headers.get("rows"), Some("many"));
        let seen = ["before ", "above before", "below above before rows"];
        let said = notes.take();
        assert_eq!(
            said.split_last().unwrap(),
            (&"z-after above before below rows".into(), &seen.map(String::from)[..])
        );
        let refused = desk.check(8).header("stop", "yes").all().await.unwrap();
        let (entry, said) = only(refused);
        assert!(entry.result.is_err());
        assert_eq!(said, None);
        let seen = ["before ", "above before", "z-after above before rows"];
        assert_eq!(notes.take(), seen);
    }
    let mut site = Site::new();
    for node in pair(&mut site, Service::new(Clerk::default()).plugin(Knows)).await {
        let desk = DeskClient::new(&node);
        let of = async |number| only(desk.check(number).all().await.unwrap());
        assert_eq!(of(9).await.1, Some(headers(&[("known", "yes")])));
        assert_eq!(of(8).await.1, Some(headers(&[("known", "yes"), ("rows", "8")])));
        let (denied, said) = of(10).await;
        assert!(matches!(denied.result, Err(CallError::Denied(_))), "{denied:?}");
        assert_eq!(said, None);
    }
}

/// Answers in place of a method that takes more than a second.
struct Impatient;

impl Plugin for Impatient {
    const HOOKS: Hooks = Hooks::AROUND;

    async fn around(&self, mut call: Around<'_>) -> Result<(), Refusal> {
        let beside = call.context().clone();
        say(&beside, "clerk", "nobody");
        let meanwhile = async {
            tokio::time::sleep(SECOND).await;
            say(&beside, "meanwhile", "1");
        };
        let gone_on = tokio::select! {
            gone_on = call.next() => Some(gone_on),
            () = meanwhile => None,
        };
        if let Some(gone_on) = gone_on {
            return gone_on;
        }
        // The call itself goes on.
        tokio::time::sleep(2 * SECOND).await;
        say(call.context(), "late", "1");
        call.answer(0_u32).map_err(|wrong| Refusal::Failed(wrong.to_string()))
    }
}

/// REQ-09: of a method that a plugin gave up nothing goes back beside what the plugin answers, and
/// nothing that is said for it from then on. What plugins say does, before it and after it and
/// meanwhile.
#[tokio::test(start_paused = true)]
async fn what_a_method_said_that_was_given_up_stays_here() {
    let clerk = Clerk { sleeps: true, ..clerk(1) };
    let told = clerk.told.clone();
    let mut site = Site::new();
    for node in pair(&mut site, Service::new(clerk).plugin(Impatient)).await {
        let desk = DeskClient::new(&node);
        let reply = desk.count().timeout(9 * SECOND).reply().await.unwrap();
        assert_eq!(reply.value, 0);
        let said = [("clerk", "nobody"), ("late", "1"), ("meanwhile", "1")];
        assert_eq!(reply.headers, headers(&said));
        assert_eq!(told.take(), ["Err(Over)"]);
        // One that is quick enough has the last word.
        let reply = desk.check(8).reply().await.unwrap();
        assert_eq!(reply.headers, headers(&[("clerk", "nobody"), ("rows", "8")]));
    }
}

/// Nodes that serve these, and one that does not and knows of all.
async fn office(site: &mut Site, clerks: &[Clerk]) -> (Vec<Node>, Node) {
    let mut nodes = Vec::new();
    for clerk in clerks {
        let node = site.node(&format!("clerk-{}", clerk.number)).await;
        node.serve(clerk.clone()).await.unwrap();
        nodes.push(node);
    }
    let web = site.node("web").await;
    let desk = DeskClient::new(&web);
    until("all are known", || desk.count().available_nodes().len() == clerks.len()).await;
    (nodes, web)
}

fn clerk(number: u32) -> Clerk {
    Clerk { number, ..Clerk::default() }
}

/// REQ-09: each of several nodes has its own go back, also where one of them asks.
#[tokio::test(start_paused = true)]
async fn each_entry_has_its_own() {
    let mut site = Site::new();
    let (nodes, web) = office(&mut site, &[clerk(1), clerk(2), clerk(3)]).await;
    for node in [&nodes[1], &web] {
        let desk = DeskClient::new(node);
        until("all are known", || desk.count().available_nodes().len() == 3).await;
        let own = |value: u32, said: Option<&Headers>| {
            assert_eq!(said, Some(&headers(&[("clerk", &value.to_string())])));
        };
        let replies = desk.count().all().await.unwrap();
        assert_eq!(replies.ok().count(), 3);
        for entry in &replies {
            own(*entry.result.as_ref().unwrap(), replies.headers(entry.node.id));
        }
        assert_eq!(replies.headers(web.id()), None, "it was not asked");
        let votes = desk.count().quorum(at_least(3)).await.unwrap();
        assert_eq!(votes.successes().len(), 3);
        for reply in votes.successes() {
            own(reply.value, votes.headers(reply.node.id));
        }
        let late = desk.count().timeout(Duration::ZERO).all().await.unwrap();
        assert!(late.iter().all(|entry| late.headers(entry.node.id).is_none()));
    }
}

/// REQ-09: of a call that goes on to another node, what the last one says goes back, and its name.
#[tokio::test(start_paused = true)]
async fn who_answers_in_the_end_says_so() {
    struct Full(Arc<AtomicU32>);
    impl Plugin for Full {
        const HOOKS: Hooks = Hooks::BEFORE;

        fn before(&self, call: &mut Inbound<'_>) -> Result<(), Refusal> {
            self.0.fetch_add(1, SeqCst);
            say(call.context(), "full", "yes");
            Err(Refusal::Overloaded { retry_after: SECOND })
        }
    }
    let mut site = Site::new();
    let (nodes, web) = office(&mut site, &[clerk(1), clerk(2)]).await;
    let full = Arc::new(AtomicU32::new(0));
    let service = nodes[0].service("Desk").unwrap();
    assert!(service.add_plugin(Full(full.clone())).await.unwrap());
    // From elsewhere, and where the first that is asked is the node itself.
    for node in [&web, &nodes[0]] {
        let known = || DeskClient::new(node).count().available_nodes().len() == 2;
        until("both are known", known).await;
        let (desk, before) = (DeskClient::new(node), full.load(SeqCst));
        // Which one is asked first is left to chance: go on until it was the full one.
        while full.load(SeqCst) == before {
            let reply = desk.count().reply().await.unwrap();
            assert_eq!((reply.value, reply.node.to_string()), (2, "clerk-2".into()));
            assert_eq!(reply.headers, headers(&[("clerk", "2")]));
        }
        let reply = desk.count().to(nodes[1].id()).reply().await.unwrap();
        assert_eq!(reply.node.id, nodes[1].id());
        let picked =
            desk.count().pick(|nodes| nodes.into_iter().find(|node| node.name() == "clerk-2"));
        assert_eq!(picked.reply().await.unwrap().node.id, nodes[1].id());
    }
    let nobody = DeskClient::new(&web).count().to(nodes[0].id()).reply().await;
    assert!(matches!(nobody, Err(CallError::Overloaded { .. })), "{nobody:?}");
    assert!(matches!(
        DeskClient::new(&web).count().timeout(Duration::ZERO).reply().await,
        Err(CallError::Deadline(_))
    ));
}

/// REQ-09: of a hedged call that goes back which came with the answer that counts.
#[tokio::test(start_paused = true)]
async fn the_quicker_one_says_so() {
    let mut site = Site::new();
    let slow = Clerk { sleeps: true, ..clerk(1) };
    let (_nodes, web) = office(&mut site, &[slow.clone(), clerk(2)]).await;
    let desk = DeskClient::new(&web);
    while slow.asked.load(SeqCst) == 0 {
        let reply = desk.count().hedge().reply().await.unwrap();
        assert_eq!((reply.value, reply.node.to_string()), (2, "clerk-2".into()));
        assert_eq!(reply.headers, headers(&[("clerk", "2")]));
    }
}
