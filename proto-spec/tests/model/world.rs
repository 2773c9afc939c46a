//! The world of the model: a client, a server, and a network that keeps every frame and gives it again at will.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

use mvt_proto::{
    Header, Kind, Reject, Role, Suite,
    constants::DRAIN_MS_MIN,
    schedule::GenerationKeys,
    secret::Secret,
    session::{Answer, ClientSession, Granted, Outstanding, Told},
};

use crate::{
    model::servers::Server,
    support::{KEY_ID, MODEL_LIMITS, ORIGIN_MS, lost_keys, secret},
};

/// One step of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The client seals a request.
    Seal,
    /// The server gets a frame of the client's, for the first time or once more.
    ToServer(usize),
    /// The client gets a frame of the server's.
    ToClient(usize),
    /// Both clocks go on by a millisecond.
    Tick,
    /// Both clocks go on by more than a drain.
    Wait,
    /// The server forgets everything. The client will be told LOST and log in anew.
    Restart,
    /// The client resumes at another server, and the one it had lives on (§12.1.6). Once, and only at the beginning of a schedule.
    Resume,
    /// What a server gave others to compute is told to the server there is, however often and late (§11.2.7).
    Agreed(usize),
    /// The server that was left gets a frame of the client's, of whichever session.
    ToLeft(usize),
}

/// Requests a client seals in one schedule, at most.
const REQUESTS_MAX: usize = 5;
const WAIT_MS: u64 = 2_100;
/// A session nobody uses is forgotten after 10 s (§10.3.2), which is no matter of renewal.
const WAITS_MAX: u64 = 3;
/// A drain that is cut short is over with its millisecond (§11.3.8).
const TICKS_MAX: u64 = 2;

pub struct World<S: Server> {
    /// Absent after a restart, until the client logs in.
    server: Option<S>,
    /// The server before a RESUME, with the number of its session.
    left: Option<(S, u8)>,
    client: ClientSession,
    outstanding: Outstanding<()>,
    /// Logins so far.
    epoch: u8,
    first_generation: u16,
    now_ms: u64,
    randomness: u8,
    sealed: usize,
    waited: u64,
    ticked: u64,
    has_restarted: bool,
    /// Agreements that servers asked for, this one and those before a restart.
    jobs: Vec<S::Job>,
    /// The generation of which the server took a SHARE: from then on its requests are to be taken.
    shared: Option<u16>,
    to_server: Vec<(Vec<u8>, u8)>,
    to_client: Vec<Vec<u8>>,
    executed: BTreeSet<usize>,
    /// Why the schedule is a counterexample.
    pub broken: Option<String>,
}

fn halves<S: Server>(epoch: u8, number: u16, now_ms: u64) -> (ClientSession, S) {
    let gs = [0x10 + epoch; 32];
    let granted = Granted {
        key_id: KEY_ID,
        suite: Suite::Hs256,
        limits: MODEL_LIMITS,
        server_time_ms: now_ms,
        keys: GenerationKeys::derive(Secret::new(gs), KEY_ID, number),
        lost_key: lost_keys().lost_key(KEY_ID),
    };
    (ClientSession::new(granted, now_ms), S::begin(gs, number, now_ms))
}

impl<S: Server> World<S> {
    pub fn new(first_generation: u16) -> Self {
        let (client, server) = halves(0, first_generation, ORIGIN_MS);
        Self {
            server: Some(server),
            left: None,
            client,
            outstanding: Outstanding::default(),
            epoch: 0,
            first_generation,
            now_ms: ORIGIN_MS + 1,
            randomness: 1,
            sealed: 0,
            waited: 0,
            ticked: 0,
            has_restarted: false,
            jobs: Vec::new(),
            shared: None,
            to_server: Vec::new(),
            to_client: Vec::new(),
            executed: BTreeSet::new(),
            broken: None,
        }
    }

    pub fn after(first_generation: u16, schedule: &[Action]) -> Self {
        let mut world = Self::new(first_generation);
        schedule.iter().for_each(|action| world.step(*action));
        world
    }

    pub fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.sealed < REQUESTS_MAX {
            actions.push(Action::Seal);
        }
        actions.extend((0..self.to_server.len()).map(Action::ToServer));
        actions.extend((0..self.to_client.len()).map(Action::ToClient));
        actions.extend((0..self.jobs.len()).map(Action::Agreed));
        if self.left.is_some() {
            actions.extend((0..self.to_server.len()).map(Action::ToLeft));
        }
        if self.ticked < TICKS_MAX {
            actions.push(Action::Tick);
        }
        if self.waited < WAITS_MAX {
            actions.push(Action::Wait);
        }
        if !self.has_restarted {
            actions.push(Action::Restart);
        }
        actions
    }

    fn blame(&mut self, why: impl Into<String>) {
        self.broken.get_or_insert(why.into());
    }

    fn step(&mut self, action: Action) {
        match action {
            Action::Seal => self.seal(),
            Action::ToServer(at) => self.serve(at),
            Action::ToClient(at) => self.hear(at),
            Action::Tick => {
                self.ticked += 1;
                self.now_ms += 1;
            }
            Action::Wait => {
                self.waited += 1;
                self.now_ms += WAIT_MS;
            }
            Action::Restart => {
                self.has_restarted = true;
                (self.server, self.shared) = (None, None);
            }
            Action::Resume => self.resume(),
            Action::Agreed(at) => {
                if let Some(server) = &mut self.server {
                    server.agreed(&self.jobs[at]);
                }
            }
            Action::ToLeft(at) => self.serve_at_left(at),
        }
    }

    /// The keys of a resumed session follow from nonces of its own, so they are others, like those of a login.
    fn resume(&mut self) {
        let Some(server) = self.server.take() else { return };
        self.left = Some((server, self.epoch));
        if S::RESUMES_UNDER_THE_SAME_KEYS {
            self.server = Some(halves(self.epoch, self.first_generation, ORIGIN_MS).1);
        } else {
            self.log_in();
        }
    }

    /// Its answers may reach the client, too.
    fn serve_at_left(&mut self, at: usize) {
        let (frame, epoch) = self.to_server[at].clone();
        let Some((server, own)) = &mut self.left else { return };
        let (own, is_request) = (*own, frame[2] & 0xf == Kind::Req as u8);
        self.randomness += 1;
        let judged = server.judge(&frame, self.randomness, self.now_ms);
        self.to_client.extend(judged.says);
        match judged.verdict {
            Ok(()) if !is_request => {}
            Ok(()) if !self.executed.insert(at) => self.blame("a request was executed twice"),
            Ok(()) if epoch != own => self.blame("a request of another session was executed"),
            _ => {}
        }
    }

    fn seal(&mut self) {
        self.sealed += 1;
        let mut frame = Vec::new();
        match self.client.seal_request(1, &[self.sealed as u8], self.now_ms, &mut frame) {
            Ok(pending) => self.outstanding.push(&pending, ()),
            Err(error) => return self.blame(format!("cannot seal: {error}")),
        }
        self.to_server.push((frame, self.epoch));
    }

    fn serve(&mut self, at: usize) {
        let (frame, epoch) = self.to_server[at].clone();
        self.randomness += 1;
        let header = Header::parse(&frame, Role::Server).expect("well formed");
        let Some(server) = &mut self.server else {
            if header.kind == Kind::Req {
                self.to_client.push(lost_keys().answer(&frame, true).to_vec());
            }
            return;
        };
        let judged = server.judge(&frame, self.randomness, self.now_ms);
        self.to_client.extend(judged.says);
        self.jobs.extend(server.job());
        if header.kind == Kind::Ctl {
            if judged.verdict.is_ok() && epoch == self.epoch {
                self.shared = Some(header.generation + 1);
            }
            return;
        }
        let is_shared = self.shared == Some(header.generation);
        let is_young = self.now_ms < header.timestamp + DRAIN_MS_MIN && epoch == self.epoch;
        let is_new = !self.executed.contains(&at);
        match judged.verdict {
            // Whatever was sealed is held for as long as a drain takes, but for what is offered and waits for its SHARE.
            Err(Reject::NoSlot) if is_young && is_new && (is_shared || !header.flags.ack()) => {
                self.blame("a request came in time and its generation was gone");
            }
            Ok(()) if !self.executed.insert(at) => self.blame("a request was executed twice"),
            Ok(()) if epoch != self.epoch => self.blame("a request of a session that is gone was executed"),
            Err(Reject::BadTag) if epoch == self.epoch => self.blame("two keys for one generation"),
            _ => {}
        }
    }

    fn hear(&mut self, at: usize) {
        let mut frame = self.to_client[at].clone();
        let Ok(header) = Header::parse(&frame, Role::Client) else { return self.blame("malformed") };
        if header.kind == Kind::Ctl {
            let mut share = Vec::new();
            let random = secret(0x80 ^ self.randomness);
            let told = self.client.control(&header, &mut frame, random, self.now_ms, &mut share);
            if matches!(told, Ok(Told::Broken)) {
                self.blame("an honest client was offered two keys for one generation");
            }
            if !share.is_empty() {
                self.to_server.push((share, self.epoch));
            }
            return;
        }
        let Some((pending, ())) = self.outstanding.get(header.generation, header.counter) else { return };
        match self.client.open_answer(pending, &header, &mut frame, self.now_ms) {
            Ok(Answer::Lost) if self.has_restarted => self.log_in(),
            // Here a SHARE and the request behind it come apart: it is sent again with the next one (§11.2.6).
            Ok(Answer::Lost) if !self.client.share().is_empty() => {}
            Ok(Answer::Lost) => self.blame("an honest client lost its session"),
            Err(_) => {}
            Ok(_) => {
                self.outstanding.remove(header.generation, header.counter);
            }
        }
    }

    fn log_in(&mut self) {
        self.epoch += 1;
        let (client, server) = halves(self.epoch, self.first_generation, self.now_ms);
        (self.client, self.server) = (client, Some(server));
        self.shared = None;
        self.outstanding = Outstanding::default();
    }

    /// Whether the two sides come together once the network is kind: what was not delivered is lost, and from here on every
    /// frame arrives, in order.
    pub fn converges(mut self) -> Option<String> {
        let mut is_share_new = true;
        for _ in 0..4 {
            let executed = self.executed.len();
            self.seal();
            let mut next = self.to_server.len() - 1;
            let mut heard = self.to_client.len();
            while next < self.to_server.len() {
                self.serve(next);
                next += 1;
                while heard < self.to_client.len() {
                    // A SHARE is sent at once, before the next request.
                    self.hear(heard);
                    heard += 1;
                }
            }
            if self.broken.is_some() || self.executed.len() > executed {
                return self.broken;
            }
            // A session whose newest generation waits for a lost SHARE is told so, sends it once more, and gives up when that
            // does not help (§11.3.6).
            let share = self.client.share().to_vec();
            if !share.is_empty() && is_share_new {
                is_share_new = false;
                self.to_server.push((share, self.epoch));
                self.serve(self.to_server.len() - 1);
            } else if !share.is_empty() && self.has_restarted {
                self.log_in();
            }
        }
        self.broken.or_else(|| Some("the two sides do not come together".into()))
    }

    pub fn print(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.server.as_ref().map(Server::print).hash(&mut hasher);
        self.left.as_ref().map(|(server, _)| server.print()).hash(&mut hasher);
        format!("{:?}{:?}", self.client, self.outstanding).hash(&mut hasher);
        format!("{:?}{:?}", self.jobs, self.shared).hash(&mut hasher);
        (&self.to_server, &self.to_client, &self.executed).hash(&mut hasher);
        (self.epoch, self.now_ms, self.randomness, self.sealed, self.has_restarted).hash(&mut hasher);
        hasher.finish()
    }
}

/// What an exploration found.
#[derive(Debug)]
pub struct Explored {
    pub states: usize,
    pub counterexample: Option<(String, Vec<Action>)>,
}

/// Every schedule up to a length, shortest first; ends with the first counterexample. States that look the same are explored
/// once. A state is made anew from its schedule each time: sessions hold secrets and are not copied.
pub fn explore<S: Server>(first_generation: u16, length_max: usize) -> Explored {
    explore_after::<S>(first_generation, &[], length_max)
}

/// The same for every schedule that begins with `begun`.
pub fn explore_after<S: Server>(first_generation: u16, begun: &[Action], length_max: usize) -> Explored {
    let mut seen = HashSet::new();
    let mut queue = VecDeque::from([begun.to_vec()]);
    while let Some(schedule) = queue.pop_front() {
        let world = World::<S>::after(first_generation, &schedule);
        // First: what is wrong may leave everything as it was.
        if let Some(why) = world.broken.clone() {
            return Explored { states: seen.len(), counterexample: Some((why, schedule)) };
        }
        if !seen.insert(world.print()) {
            continue;
        }
        let actions = world.actions();
        if let Some(why) = world.converges() {
            return Explored { states: seen.len(), counterexample: Some((why, schedule)) };
        }
        if schedule.len() < length_max {
            queue.extend(actions.into_iter().map(|action| [&schedule[..], &[action]].concat()));
        }
    }
    Explored { states: seen.len(), counterexample: None }
}
