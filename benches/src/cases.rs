//! Cases that are measured one by one by criterion, and then in turns for their ratios.
//!
//! A ratio of two measurements taken ten seconds apart says as much about the machine as about the
//! code. So each table is taken in rounds: every case gets a turn of some milliseconds in every
//! round, a ratio is taken within each round, and the median of those is what counts.

use std::{
    fmt::Write,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use criterion::{Criterion, SamplingMode, Throughput};

/// Does its work this many times and says how long that took, preparation left out.
pub trait Run: FnMut(u64) -> Duration {}
impl<F: FnMut(u64) -> Duration> Run for F {}

/// One thing to be measured.
pub struct Case<'a> {
    name: String,
    run: Box<dyn Run + 'a>,
    /// What its ratios are taken to, and what they may be.
    to: Vec<(String, Option<f64>)>,
    /// How many operations one run is.
    elements: u64,
}

impl<'a> Case<'a> {
    /// A case of this name.
    pub fn new(name: impl Into<String>, run: impl Run + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run), to: Vec::new(), elements: 1 }
    }

    /// Shows its ratio to another case of the table.
    #[must_use]
    pub fn against(mut self, other: impl Into<String>) -> Self {
        self.to.push((other.into(), None));
        self
    }

    /// Shows its ratio to another case of the table, and whether it is within what was promised.
    #[must_use]
    pub fn within(mut self, bound: f64, other: impl Into<String>) -> Self {
        self.to.push((other.into(), Some(bound)));
        self
    }

    /// Says that one run is this many operations: the table shows the time of one of them,
    /// criterion that of the run.
    #[must_use]
    pub fn of_many(mut self, elements: u64) -> Self {
        self.elements = elements;
        self
    }
}

/// Whether this is no measurement but a trial (`cargo test --benches`): everything runs once, and
/// stores are small.
pub fn is_trial() -> bool {
    let mut arguments = std::env::args();
    !arguments.any(|argument| argument == "--bench") || std::env::args().any(|argument| argument == "--test")
}

/// Criterion with times that fit many cases into a minute.
pub fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(700))
        .sample_size(10)
        .configure_from_args()
}

/// Measures the cases of a table.
pub fn compare(criterion: &mut Criterion, table: &str, cases: Vec<Case<'_>>) {
    let mut group = criterion.benchmark_group(table);
    let mut measured = Vec::new();
    for mut case in cases {
        group.throughput(Throughput::Elements(case.elements));
        group.sampling_mode(if case.elements > 1 { SamplingMode::Flat } else { SamplingMode::Auto });
        let mut last = None;
        group.bench_function(&case.name, |bencher| {
            bencher.iter_custom(|times| {
                let took = (case.run)(times);
                last = Some((times, took));
                took
            });
        });
        // A case that a filter leaves out takes no part in the table.
        if let Some((times, took)) = last {
            measured.push(Measured { case, turn: times_for_a_turn(times, took), each: Vec::new() });
        }
    }
    group.finish();
    if measured.len() > 1 && !is_trial() {
        take_turns(&mut measured);
        print(table, &measured);
    }
}

struct Measured<'a> {
    case: Case<'a>,
    /// How often it runs in one turn.
    turn: u64,
    /// Nanoseconds for each operation, turn by turn.
    each: Vec<f64>,
}

const ROUNDS: usize = 31;
/// Where one run alone is longer than a turn, fewer rounds have to do.
const FEW_ROUNDS: usize = 11;
const TURN: Duration = Duration::from_millis(15);

fn times_for_a_turn(times: u64, took: Duration) -> u64 {
    let each = took.as_nanos().max(1) / u128::from(times.max(1));
    u64::try_from(TURN.as_nanos() / each.max(1)).unwrap_or(1).max(1)
}

fn take_turns(measured: &mut [Measured<'_>]) {
    let rounds = if measured.iter().any(|one| one.turn == 1) { FEW_ROUNDS } else { ROUNDS };
    for round in 0..rounds {
        // Another one comes first each time.
        let first = round % measured.len();
        measured.rotate_left(first);
        for Measured { case, turn, each } in measured.iter_mut() {
            let took = (case.run)(*turn);
            each.push(took.as_nanos() as f64 / (*turn * case.elements) as f64);
        }
        measured.rotate_right(first);
    }
}

#[allow(clippy::print_stdout, reason = "a table is what is asked for")]
fn print(table: &str, measured: &[Measured<'_>]) {
    println!("{table}, in turns:");
    for one in measured {
        let (low, middle, high) = quartiles(one.each.clone());
        let mut line = format!("  {:<44} {:>11}  ({} to {})", one.case.name, time(middle), time(low), time(high));
        for (other, bound) in &one.case.to {
            let Some(other) = measured.iter().find(|candidate| candidate.case.name == *other) else {
                continue;
            };
            let ratios = one.each.iter().zip(&other.each).map(|(one, other)| one / other).collect();
            let (_, ratio, _) = quartiles(ratios);
            let verdict = match bound {
                Some(bound) if ratio > *bound => format!(" (OVER x{bound})"),
                Some(bound) => format!(" (within x{bound})"),
                None => String::new(),
            };
            let _ = write!(line, "  x{ratio:.2} of {}{verdict}", other.case.name);
        }
        println!("{line}");
    }
    println!();
}

fn quartiles(mut all: Vec<f64>) -> (f64, f64, f64) {
    all.sort_by(f64::total_cmp);
    let at = |part: usize| all.get(all.len() * part / 4).copied().unwrap_or(f64::NAN);
    (at(1), at(2), at(3))
}

fn time(nanos: f64) -> String {
    match nanos {
        nanos if nanos < 1e3 => format!("{nanos:.0} ns"),
        nanos if nanos < 1e6 => format!("{:.2} µs", nanos / 1e3),
        nanos => format!("{:.2} ms", nanos / 1e6),
    }
}

/// Runs on several threads at once, each with its own runner; the time is that of the slowest.
///
/// Each thread does all of the work, so that a case without contention takes as long as on one
/// thread.
pub fn on_threads<R: Run + Send>(mut runners: Vec<R>) -> impl Run {
    move |times| {
        let start = Barrier::new(runners.len());
        let start = &start;
        thread::scope(|scope| {
            let threads: Vec<_> = runners
                .iter_mut()
                .map(|run| {
                    scope.spawn(move || {
                        start.wait();
                        run(times)
                    })
                })
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).max().unwrap_or_default()
        })
    }
}

/// Prepares inputs in chunks of at most `chunk`, and takes the time of the work on each chunk
/// alone.
pub fn chunked<I, P, W>(chunk: u64, mut prepare: P, mut work: W) -> impl Run
where
    P: FnMut() -> I,
    W: FnMut(I),
{
    move |times| {
        let mut took = Duration::ZERO;
        let mut left = times;
        while left > 0 {
            let now = left.min(chunk);
            let inputs: Vec<I> = (0..now).map(|_| prepare()).collect();
            let start = Instant::now();
            for input in inputs {
                work(input);
            }
            took += start.elapsed();
            left -= now;
        }
        took
    }
}
