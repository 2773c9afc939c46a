//! One run, bounded in time: starts the workers, sets the phases, reads the server's CPU time, merges the tallies.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    panic,
    sync::{
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use crate::{
    clock::{self, Clock, nanoseconds},
    io::{Backend, Choice},
    phase::Phases,
    progress::{Live, Progress, REDRAW},
    schedule::Schedule,
    server_cpu::CpuReading,
    tally::Tally,
    target::Target,
    trouble::StartError,
    worker::{self, Event, Orders},
    workload::{Workload, share},
};

/// Answers to the last requests are awaited this long.
pub const DRAIN: Duration = Duration::from_secs(1);

/// How long a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Sent and verified, not counted.
    pub warmup: Duration,
    /// The measured interval, at most.
    pub duration: Duration,
    /// Measured requests, at most.
    pub requests: Option<u64>,
}

/// Everything a run needs.
#[derive(Debug)]
pub struct Plan {
    /// To whom.
    pub target: Target,
    /// What.
    pub workload: Workload,
    /// When.
    pub schedule: Schedule,
    /// How long.
    pub extent: Extent,
    /// CPUs of the workers, none or one each.
    pub pins: Vec<usize>,
    /// The server's process, when it runs here.
    pub server_pid: Option<u32>,
    /// How bytes are moved.
    pub io: Choice,
    /// Workers never sleep while requests are sent.
    pub spin: bool,
    /// Workers sleep until the next request is due, however soon.
    pub doze: bool,
    /// What the user says of the server, for the report.
    pub labels: BTreeMap<String, String>,
    /// No progress line.
    pub quiet: bool,
}

impl Plan {
    /// Ramp and warm-up.
    #[must_use]
    pub fn unmeasured(&self) -> Duration {
        let ramp_ns = self.schedule.arrivals().map_or(0, |arrivals| arrivals.ramp_ns);
        Duration::from_nanos(ramp_ns) + self.extent.warmup
    }
}

/// What a run gave.
#[derive(Debug)]
pub struct Outcome {
    /// All workers together.
    pub tally: Tally,
    /// When the measured interval began, seconds since 1970.
    pub started_unix_s: f64,
    /// The measured interval, ns.
    pub interval_ns: u64,
    /// CPU time of the workers in it, ns.
    pub client_cpu_ns: u64,
    /// Share of the interval in which the busiest worker had something to do, 0 to 1.
    pub busy_share: f64,
    /// The run was told to stop before its end.
    pub interrupted: bool,
    /// CPU time of the server's process in it, ns.
    pub server_cpu_ns: Option<u64>,
    /// This end's address.
    pub local_ip: IpAddr,
    /// How bytes were moved, in words.
    pub io: String,
}

impl Outcome {
    /// Whether every answer verified, nothing went wrong, and there was something to verify.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.tally.failed_verifications == 0 && self.tally.error_count() == 0 && self.tally.verified > 0
    }
}

/// Runs `plan`, its measured interval until `stop` is set at most.
///
/// # Errors
/// When the run cannot begin. What goes wrong later is counted.
pub fn run(plan: &Plan, stop: &AtomicBool) -> Result<Outcome, StartError> {
    let (backend, io) = plan.target.carrier.decide(plan.io).map_err(|source| StartError::Io { source })?;
    let clock = Clock::start();
    let progress = Progress::new(plan.quiet);
    let lives: Vec<Live> = (0..plan.workload.threads).map(|_| Live::new(progress.is_shown())).collect();
    let (event_sender, events) = mpsc::channel();
    thread::scope(|scope| {
        let mut starts = Vec::new();
        let mut workers = Vec::new();
        for (index, live) in lives.iter().enumerate() {
            let orders = orders(plan, index, clock, backend, stop, live);
            let (start, phases) = mpsc::channel();
            let events = event_sender.clone();
            starts.push(start);
            let thread = thread::Builder::new().name(format!("mvt-load-{index}"));
            let worker = thread.spawn_scoped(scope, move || worker::work(&orders, &phases, &events));
            workers.push(worker.map_err(StartError::Worker)?);
        }
        drop(event_sender);
        // On an error the senders in `starts` drop, and the waiting workers end.
        let local_ip = await_starts(&events, starts.len())?;
        let before_interval = plan.unmeasured();
        let started_unix_s = clock::unix_s() + before_interval.as_secs_f64();
        let watch = Watch { plan, clock, lives: &lives, progress };
        let (interval_ns, server_cpu_ns) = watch.interval(&starts, &events);
        let mut tally = Tally::default();
        let mut client_cpu_ns = 0;
        let mut busy_ns = 0;
        for worker in workers {
            let harvest = worker.join().unwrap_or_else(|cause| panic::resume_unwind(cause));
            if let Some(part) = harvest {
                tally.merge(&part.tally);
                client_cpu_ns += part.cpu_ns;
                busy_ns = part.busy_ns.max(busy_ns);
            }
        }
        tally.timeline.truncate(interval_ns);
        let busy_share = if interval_ns == 0 { 0.0 } else { (busy_ns as f64 / interval_ns as f64).min(1.0) };
        let interrupted = stop.load(Relaxed);
        Ok(Outcome {
            tally,
            started_unix_s,
            interval_ns,
            client_cpu_ns,
            busy_share,
            interrupted,
            server_cpu_ns,
            local_ip,
            io,
        })
    })
}

fn orders<'a>(
    plan: &'a Plan,
    index: usize,
    clock: Clock,
    backend: Backend,
    stop: &'a AtomicBool,
    live: &'a Live,
) -> Orders<'a> {
    Orders {
        index,
        pin: plan.pins.get(index).copied(),
        clock,
        target: &plan.target,
        workload: &plan.workload,
        schedule: &plan.schedule,
        backend,
        spin: plan.spin,
        doze: plan.doze,
        stop,
        budget: plan.extent.requests.map_or(u64::MAX, |whole| share(whole, plan.workload.threads, index)),
        live,
    }
}

/// Waits until every worker is logged in; the first error ends the run. Each worker bounds its own logins.
fn await_starts(events: &Receiver<Event>, count: usize) -> Result<IpAddr, StartError> {
    let mut local_ip = IpAddr::from([0, 0, 0, 0]);
    for _ in 0..count {
        match events.recv() {
            Ok(Event::Started(started)) => local_ip = started?,
            Ok(Event::IntervalOver(_)) => unreachable!("a worker starts before its interval ends"),
            Err(mpsc::RecvError) => unreachable!("a worker says whether it started"),
        }
    }
    Ok(local_ip)
}

/// The main thread's part of a run.
struct Watch<'a> {
    plan: &'a Plan,
    clock: Clock,
    lives: &'a [Live],
    progress: Progress,
}

impl Watch<'_> {
    /// Starts the phases and waits for the end of the interval: its length and the server's CPU time in it.
    fn interval(mut self, starts: &[Sender<Phases>], events: &Receiver<Event>) -> (u64, Option<u64>) {
        let extent = self.plan.extent;
        let begin_ns = self.clock.now_ns();
        let measure_from_ns = begin_ns + nanoseconds(self.plan.unmeasured());
        let measure_until_ns = measure_from_ns + nanoseconds(extent.duration);
        let drain_until_ns = measure_until_ns + nanoseconds(DRAIN);
        let phases = Phases { begin_ns, measure_from_ns, measure_until_ns, drain_until_ns };
        for start in starts {
            let _ = start.send(phases);
        }
        let mut over_count = 0;
        let mut ended_ns = measure_from_ns;
        self.await_over(events, measure_from_ns, starts.len(), &mut over_count, &mut ended_ns, &phases);
        let before = self.read_server();
        self.await_over(events, measure_until_ns, starts.len(), &mut over_count, &mut ended_ns, &phases);
        let after = self.read_server();
        if over_count < starts.len() {
            ended_ns = measure_until_ns;
        }
        self.progress.clear();
        let used = before.zip(after).map(|(before, after)| after.since_ns(&before));
        (ended_ns.saturating_sub(measure_from_ns), used)
    }

    /// Draws the line until `until_ns`, or until `count` workers have ended their interval.
    fn await_over(
        &mut self,
        events: &Receiver<Event>,
        until_ns: u64,
        count: usize,
        over_count: &mut usize,
        ended_ns: &mut u64,
        phases: &Phases,
    ) {
        while *over_count < count {
            let now_ns = self.clock.now_ns();
            if now_ns >= until_ns {
                return;
            }
            self.progress.draw(self.lives, now_ns.cast_signed() - phases.measure_from_ns.cast_signed());
            match events.recv_timeout(Duration::from_nanos(until_ns - now_ns).min(REDRAW)) {
                Ok(Event::IntervalOver(at_ns)) => {
                    *over_count += 1;
                    *ended_ns = at_ns.max(*ended_ns);
                }
                Ok(Event::Started(_)) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn read_server(&self) -> Option<CpuReading> {
        CpuReading::of(self.plan.server_pid?).ok()
    }
}
