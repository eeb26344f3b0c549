//! A native participant who speaks a clip over and over and records whom it hears.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aic_codec::Model;
use aic_codec::resample::Down;
use aura_room::aic::{AicPlayer, AicTrack, PlayerStats, Settings, SpeakerStats, State};
use aura_room::{EventStream, PublishOptions, Room, RoomEvent, RoomOptions, SignalMode};
use aura_types::{Clock as _, SystemClock};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::judge::{Heard, judge};
use super::speech::Clip;
use crate::sfu::Sfu;
use crate::wait;

const PERIOD: Duration = Duration::from_millis(20);
const PLAYOUT_MS: u32 = 80;
/// Samples of a recording that are kept: the last 30 s.
const RECORDING: usize = 30 * crate::speech::RATE as usize;
/// What a judgement is made of.
const JUDGED: usize = 6 * crate::speech::RATE as usize;

/// How a person takes part.
#[derive(Debug, Clone)]
pub struct PersonOptions {
    /// What it encodes and decodes with.
    pub model: Model,
    /// How it encodes.
    pub settings: Settings,
    /// Peer connections.
    pub mode: SignalMode,
    /// Share of packets lost each way.
    pub loss: f32,
}

type Ears = Arc<Mutex<HashMap<String, Ear>>>;

/// One track that is heard.
#[derive(Debug, Default)]
struct Ear {
    recording: VecDeque<f32>,
    stats: PlayerStats,
    /// When the first Opus packet came since [`AicPerson::watch_for_opus`].
    opus_at: Option<Instant>,
    opus_before: u64,
}

/// Somebody in the room; leaves with the value.
pub struct AicPerson {
    /// The room it is in.
    pub room: Room,
    voice: AicTrack,
    says: watch::Sender<Arc<Vec<[f32; 960]>>>,
    ears: Ears,
    _tasks: JoinSet<()>,
}

impl PersonOptions {
    /// The usual: `model`, default settings, two connections, nothing lost.
    pub fn new(model: &Model) -> Self {
        Self { model: model.clone(), settings: Settings::default(), mode: SignalMode::Dual, loss: 0.0 }
    }
}

impl AicPerson {
    /// Joins, and speaks `clip` from then on.
    pub async fn join(
        sfu: &Sfu,
        room: &str,
        identity: &str,
        clip: &Clip,
        options: PersonOptions,
    ) -> anyhow::Result<Self> {
        let joining = RoomOptions {
            aic_model: Some(options.model.id().to_owned()),
            simulated_loss: options.loss,
            mode: options.mode,
            ..RoomOptions::default()
        };
        let (room, events) = Room::connect(&sfu.url, &sfu.join_token(identity, room), joining).await?;
        let voice = AicTrack::new(&options.model, options.settings)?;
        room.publish(voice.track(), PublishOptions::default()).await?;
        let (says, said) = watch::channel(Arc::new(clip.frames()));
        let ears = Ears::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(speak(voice.clone(), said));
        tasks.spawn(listen(events, options.model, Arc::clone(&ears)));
        Ok(Self { room, voice, says, ears, _tasks: tasks })
    }

    /// Speaks something else from now on.
    pub fn say(&self, clip: &Clip) {
        self.says.send_replace(Arc::new(clip.frames()));
    }

    /// What it has sent.
    pub fn sent(&self) -> SpeakerStats {
        self.voice.stats()
    }

    /// What its encoder does now.
    pub fn state(&self) -> State {
        self.voice.state()
    }

    /// Changes what the encoder must reach.
    pub fn set(&self, settings: Settings) {
        self.voice.set(settings);
    }

    /// Switches AIC on and off.
    pub fn enable(&self, enabled: bool) {
        self.voice.enable(enabled);
    }

    /// What it has received of `identity`.
    pub fn received(&self, identity: &str) -> PlayerStats {
        self.ear(identity, |ear| ear.stats)
    }

    /// Waits until it hears `clip` from `identity`, said anew, with at least this intelligibility.
    pub async fn hears(&self, identity: &str, clip: &Clip, stoi: f32, limit: Duration) -> Heard {
        self.ear(identity, |ear| ear.recording.clear());
        wait::until(&format!("{} heard from {identity}", clip.name), limit, || async {
            let recording: Vec<f32> = self.ear(identity, |ear| {
                let from = ear.recording.len().saturating_sub(JUDGED);
                ear.recording.range(from..).copied().collect()
            });
            if recording.len() < JUDGED {
                return Err(format!("{} samples", recording.len()));
            }
            match judge(clip, &recording) {
                Some(heard) if heard.stoi >= stoi && heard.level_db > -15.0 => Ok(heard),
                other => {
                    let received = self.ear(identity, |ear| {
                        // Judged once: the next judgement is of something new.
                        ear.recording.clear();
                        ear.stats
                    });
                    Err(format!("{other:?}, {received:?}"))
                }
            }
        })
        .await
    }

    /// Notes when the next Opus packet of `identity` comes.
    pub fn watch_for_opus(&self, identity: &str) {
        self.ear(identity, |ear| {
            ear.opus_at = None;
            ear.opus_before = ear.stats.opus_packets;
        });
    }

    /// Waits until one has come; answers when.
    pub async fn opus_came(&self, identity: &str, limit: Duration) -> Instant {
        wait::until(&format!("Opus from {identity}"), limit, || async {
            self.ear(identity, |ear| ear.opus_at.ok_or_else(|| format!("{:?}", ear.stats)))
        })
        .await
    }

    /// Waits until AIC of `identity` comes, more than until now.
    pub async fn aic_comes(&self, identity: &str, limit: Duration) {
        let before = self.received(identity).aic_packets;
        wait::until(&format!("AIC from {identity}"), limit, || async {
            let now = self.received(identity);
            if now.aic_packets > before + 10 { Ok(()) } else { Err(format!("{now:?}, {before} before")) }
        })
        .await;
    }

    fn ear<T>(&self, identity: &str, look: impl FnOnce(&mut Ear) -> T) -> T {
        let mut ears = self.ears.lock().unwrap_or_else(PoisonError::into_inner);
        look(ears.entry(identity.to_owned()).or_default())
    }
}

async fn speak(voice: AicTrack, mut said: watch::Receiver<Arc<Vec<[f32; 960]>>>) {
    let mut clock = interval(PERIOD);
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut turn = 0;
    loop {
        clock.tick().await;
        if said.has_changed().unwrap_or(false) {
            turn = 0;
        }
        let frames = Arc::clone(&said.borrow_and_update());
        if let Err(error) = voice.write(&frames[turn % frames.len()]).await {
            eprintln!("a frame was not sent: {error:#}");
        }
        turn += 1;
    }
}

async fn listen(mut events: EventStream, model: Model, ears: Ears) {
    let mut players = JoinSet::new();
    while let Some(event) = events.next().await {
        if let RoomEvent::TrackSubscribed { track, .. } = event
            && let Ok(player) = AicPlayer::new(track, &model, PLAYOUT_MS)
        {
            players.spawn(record(player, Arc::clone(&ears)));
        }
    }
}

async fn record(mut player: AicPlayer, ears: Ears) {
    let identity = player.track().identity().to_owned();
    let mut down = Down::default();
    while let Some(pcm) = player.next_pcm().await {
        let samples = down.process(&pcm);
        let now = SystemClock.monotonic();
        let mut ears = ears.lock().unwrap_or_else(PoisonError::into_inner);
        let ear = ears.entry(identity.clone()).or_default();
        ear.recording.extend(samples);
        let over = ear.recording.len().saturating_sub(RECORDING);
        ear.recording.drain(..over);
        ear.stats = player.stats();
        if ear.opus_at.is_none() && ear.stats.opus_packets > ear.opus_before {
            ear.opus_at = Some(now);
        }
    }
}
