//! Who is seen and heard after people come, go, reload, stop and start: every kind of client through everything that
//! gives a connection's sections and streams to somebody else.
//!
//! A row is one kind of client in all seats, on one server; its cells follow each other. After each, everybody sees and
//! hears everybody else, and nobody in place of another. A failure names row and cell; `AURALINK_CELLS` (names, comma
//! in between) leaves the others out.
//!
//! Left out where a client has no such thing: the web app unpublishes nothing but a screen, so there camera and
//! microphone are switched off and on instead, and its people choose no subscriptions. A call is of two who stay: there
//! nobody takes the place of another.
#![allow(clippy::print_stderr, reason = "a failing test says in which cell")]

use std::cell::Cell;

use auralink_tests::{
    Browser, Client, Mode, Outcome, PythonParticipant, ServerSdk, Sfu, SfuOptions, Somebody, Stack, WebApp,
    WindowOptions, fixture, id,
};
use futures_util::future::{join_all, try_join_all};
use serde_json::{Value, json};

const ROOM: &str = "presence";

/// Where a row takes place, and at what its people sit.
enum Place {
    Pages {
        browser: Browser,
        sfu: Sfu,
        single: bool,
        options: Value,
    },
    Python {
        sfu: Sfu,
    },
    /// `link` leads into the room; a call has none.
    App {
        browser: Browser,
        stack: Box<Stack>,
        link: String,
    },
}

// Clients go before their server: what they say of its absence would hide what they said last.
struct Row {
    name: &'static str,
    people: Vec<Client>,
    place: Place,
    cell: Cell<&'static str>,
}

impl Drop for Row {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- failed: {} / {}", self.name, self.cell.get());
        }
    }
}

impl Row {
    async fn of_pages(name: &'static str, single: bool, options: Value) -> anyhow::Result<Self> {
        let (sfu, browser) = tokio::try_join!(Sfu::start(SfuOptions::default()), Browser::start())?;
        Self::of_three(name, Place::Pages { browser, sfu, single, options }).await
    }

    async fn of_python(name: &'static str) -> anyhow::Result<Self> {
        let sfu = Sfu::start(SfuOptions::default()).await?;
        Self::of_three(name, Place::Python { sfu }).await
    }

    async fn of_three(name: &'static str, place: Place) -> anyhow::Result<Self> {
        let people = try_join_all(["alice", "bob", "carol"].map(|who| place.joins(who))).await?;
        Ok(Self { name, place, people, cell: Cell::new("meet") })
    }

    async fn of_a_room(name: &'static str) -> anyhow::Result<Self> {
        let (stack, browser) = tokio::try_join!(Stack::start(), Browser::start())?;
        let stack = Box::new(stack);
        let mut place = Place::App { browser, stack, link: String::new() };
        let alice = place.signs_up("Alice").await?;
        let room = alice.create_room("Presence").await?;
        let invitation = alice.invite_link(&room).await?;
        alice.join(&format!("/room/{room}"), Mode::Single).await?;
        if let Place::App { link, .. } = &mut place {
            *link = invitation;
        }
        let (bob, carol) = tokio::try_join!(place.joins("Bob"), place.joins("Carol"))?;
        Ok(Self { name, place, people: vec![Client::App(alice), bob, carol], cell: Cell::new("meet") })
    }

    async fn of_a_call(name: &'static str) -> anyhow::Result<Self> {
        let (stack, browser) = tokio::try_join!(Stack::start(), Browser::start())?;
        let stack = Box::new(stack);
        let place = Place::App { browser, stack, link: String::new() };
        let (alice, bob) = tokio::try_join!(place.signs_up("Alice"), place.signs_up("Bob"))?;
        alice.window.fill(&id("people-search"), "Bob").await?;
        let row = format!("{}:has-text(\"Bob\")", id("person-row"));
        alice.window.click(&format!("{row} {}", id("call-person"))).await?;
        bob.window.click(&id("accept-call")).await?;
        Ok(Self { name, place, people: [alice, bob].map(Client::App).into(), cell: Cell::new("meet") })
    }

    /// Names the cell that comes; whether it is to be filled in.
    fn begins(&self, cell: &'static str) -> bool {
        self.cell.set(cell);
        std::env::var("AURALINK_CELLS").map_or(true, |chosen| chosen.split(',').any(|one| one == cell))
    }

    /// Everybody sees and hears everybody else.
    async fn all_meet(&self) {
        join_all(self.people.iter().enumerate().map(async |(at, person)| {
            let others = self.people.iter().enumerate().filter(|(other, _)| *other != at);
            person.sees_and_hears(&others.map(|(_, other)| other as &dyn Somebody).collect::<Vec<_>>()).await;
        }))
        .await;
    }

    /// All but the person at `at` wait until its camera and microphone, or its screen, are gone.
    async fn all_lack(&self, at: usize, source: &str) {
        let person = &self.people[at];
        let others = self.people.iter().enumerate().filter(|(other, _)| *other != at);
        join_all(others.map(|(_, other)| other.lacks(person, source))).await;
    }

    async fn everything(&mut self) -> anyhow::Result<()> {
        self.begins("meet");
        self.all_meet().await;
        if self.people.len() > 2 && self.begins("leave and join") {
            self.leave_and_join().await?;
        }
        if self.begins("reload") {
            self.reload().await?;
        }
        if self.begins("stop and start") {
            self.stop_and_start().await?;
        }
        if self.begins("share twice") {
            self.share_twice().await?;
        }
        if !matches!(self.place, Place::App { .. }) && self.begins("subscriptions") {
            self.subscriptions().await?;
        }
        if self.begins("full reconnect") {
            self.people[1].reconnects().await?;
            self.all_meet().await;
        }
        if self.begins("permission") {
            self.permission().await?;
        }
        Ok(())
    }

    /// Somebody leaves and somebody new takes the free sections, twice: the second time they have been used before.
    async fn leave_and_join(&mut self) -> anyhow::Result<()> {
        for newcomer in ["Dave", "Erin"] {
            let gone = self.people.pop().expect("three are here");
            gone.leaves().await?;
            self.all_meet().await;
            self.people.push(self.place.joins(newcomer).await?);
            self.all_meet().await;
        }
        Ok(())
    }

    /// The same person from nothing, without a goodbye.
    async fn reload(&mut self) -> anyhow::Result<()> {
        for _ in 0..2 {
            let person = self.people.remove(1);
            let person = self.place.reloads(person).await?;
            self.people.insert(1, person);
            self.all_meet().await;
        }
        Ok(())
    }

    async fn stop_and_start(&self) -> anyhow::Result<()> {
        for _ in 0..2 {
            self.people[1].stop().await?;
            self.all_lack(1, "camera").await;
            self.people[1].start().await?;
            self.all_meet().await;
        }
        Ok(())
    }

    async fn share_twice(&self) -> anyhow::Result<()> {
        let (alice, bob) = (&self.people[0], &self.people[1]);
        for _ in 0..2 {
            bob.share(true).await?;
            alice.sees_screen_of(bob).await;
            self.all_meet().await;
            bob.share(false).await?;
            self.all_lack(1, "screen_share").await;
        }
        self.all_meet().await;
        Ok(())
    }

    /// One picture less and back, then one for the other in the same turn.
    async fn subscriptions(&self) -> anyhow::Result<()> {
        let [alice, bob, carol] = &self.people[..] else { anyhow::bail!("three are here") };
        for _ in 0..2 {
            alice.subscribe(&[(bob, false)]).await?;
            alice.loses_picture_of(bob).await;
            alice.subscribe(&[(bob, true)]).await?;
            self.all_meet().await;
        }
        alice.subscribe(&[(carol, false)]).await?;
        alice.loses_picture_of(carol).await;
        for (off, on) in [(bob, carol), (carol, bob)] {
            alice.subscribe(&[(off, false), (on, true)]).await?;
            alice.loses_picture_of(off).await;
            alice.sees_and_hears(&[on]).await;
        }
        alice.subscribe(&[(carol, true)]).await?;
        self.all_meet().await;
        Ok(())
    }

    async fn permission(&self) -> anyhow::Result<()> {
        let (sfu, room) = match &self.place {
            Place::Pages { sfu, .. } | Place::Python { sfu } => (sfu, json!(ROOM)),
            Place::App { stack, .. } => {
                let name = "() => __aura.room.name";
                (&stack.sfu, self.people[0].window().evaluate(name, Value::Null).await?)
            }
        };
        let (sdk, bob) = (ServerSdk::start(sfu).await?, &self.people[1]);
        for _ in 0..2 {
            for may in [false, true] {
                let permission = json!({ "canSubscribe": true, "canPublishData": true, "canPublish": may });
                let update = json!([room, bob.identity().await?, { "permission": permission }]);
                sdk.rooms("updateParticipant", update).await?;
                bob.learns_it_may_publish(may).await;
                if !may {
                    self.all_lack(1, "camera").await;
                }
            }
            bob.start().await?;
            self.all_meet().await;
        }
        Ok(())
    }
}

impl Place {
    async fn signs_up(&self, name: &str) -> anyhow::Result<WebApp> {
        let Self::App { stack, browser, .. } = self else { anyhow::bail!("only the web app has accounts") };
        let options = WindowOptions { storage: vec![("aura.debug", "1")], ..WindowOptions::default() };
        let app = WebApp::new(browser.window(name, options).await?, &stack.url);
        app.sign_up(name).await?;
        Ok(app)
    }

    async fn joins(&self, name: &str) -> anyhow::Result<Client> {
        match self {
            Self::Pages { browser, .. } => {
                let window = browser.protocol_page(name).await?;
                window.join(self.ticket(name)).await?;
                Ok(Client::Page(window))
            }
            Self::Python { sfu } => {
                // Both kinds of connection in one room.
                let single = name != "carol";
                let python = PythonParticipant::join(&sfu.url, &sfu.join_token(name, ROOM), single).await?;
                python.publish().await?;
                Ok(Client::Python(Box::new(python)))
            }
            Self::App { link, .. } => {
                let app = self.signs_up(name).await?;
                app.join(link, Mode::Single).await?;
                Ok(Client::App(app))
            }
        }
    }

    async fn reloads(&self, person: Client) -> anyhow::Result<Client> {
        match &person {
            Client::Page(window) => {
                window.reload().await?;
                window.join(self.ticket(&window.known_as())).await?;
            }
            Client::App(app) => {
                app.window.reload().await?;
                app.window.see(&id("mic")).await?;
            }
            Client::Python(python) => {
                let name = python.known_as();
                drop(person);
                return self.joins(&name).await;
            }
        }
        Ok(person)
    }

    /// What a page joins with.
    fn ticket(&self, name: &str) -> Value {
        let Self::Pages { sfu, single, options, .. } = self else { return Value::Null };
        let token = sfu.join_token(name, ROOM);
        json!({ "url": sfu.url, "token": token, "single": single, "options": options })
    }
}

#[tokio::test]
async fn pages_on_one_connection() -> Outcome {
    let _turn = fixture::turn().await;
    Row::of_pages("pages on one connection", true, json!({})).await?.everything().await?;
    Ok(())
}

#[tokio::test]
async fn pages_on_two_connections() -> Outcome {
    let _turn = fixture::turn().await;
    Row::of_pages("pages on two connections", false, json!({})).await?.everything().await?;
    Ok(())
}

/// The other rows of pages take every stream as it is; here the server is told what is shown, how large, and by that
/// what need not be sent at all.
#[tokio::test]
async fn pages_that_adapt() -> Outcome {
    let _turn = fixture::turn().await;
    let options = json!({ "adaptiveStream": true, "dynacast": true });
    for (name, single) in [("adaptive, one connection", true), ("adaptive, two connections", false)] {
        let mut row = Row::of_pages(name, single, options.clone()).await?;
        row.all_meet().await;
        if row.begins("leave and join") {
            row.leave_and_join().await?;
        }
        if row.begins("reload") {
            row.reload().await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn python() -> Outcome {
    let _turn = fixture::turn().await;
    Row::of_python("python").await?.everything().await?;
    Ok(())
}

#[tokio::test]
async fn a_room_of_the_web_app() -> Outcome {
    let _turn = fixture::turn().await;
    Row::of_a_room("room of the web app").await?.everything().await?;
    Ok(())
}

#[tokio::test]
async fn a_call_of_the_web_app() -> Outcome {
    let _turn = fixture::turn().await;
    Row::of_a_call("call of the web app").await?.everything().await?;
    Ok(())
}
