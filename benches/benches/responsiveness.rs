//! Other requests: how long a guarded request takes while logins wait to be hashed.
//!
//! A request arrives every millisecond, from a thread of its own, and becomes a task of the runtime
//! that serves the logins, as an accepted connection would. Beside the times: how long one storm of
//! logins took, and the most memory that the process had meanwhile. Not criterion's: what counts is
//! the worst of one run, not the mean of many.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use portcullis::{Auth, User};
use portcullis_benches::{
    cases::is_trial,
    logins::{Way, Ways},
    requests::{Carrier, inner, request},
    setup::{access_tokens, auth, start},
};
use tokio::runtime::Runtime;
use tower::{Layer, ServiceExt};

const LOGINS: usize = 64;
const STORMS: usize = 3;

fn main() {
    let runtime = Runtime::new().expect("threads can be started");
    let Ways { store, naive, one, two } = Ways::new(&runtime);
    let auth = auth(&store);
    // Another user than the one who logs in and soon has too many sessions.
    let tokens = access_tokens(&store, &auth, 1, &[]);
    let token = tokens.first().expect("there is one");
    start(&auth, token);

    println!("a guarded request every millisecond, while {LOGINS} logins wait:");
    // The naive way is last, because of the memory that it leaves behind.
    for (what, way) in
        [("no logins", None), ("hash_threads(1)", Some(&one)), ("hash_threads(2)", Some(&two)), ("naive", Some(&naive))]
    {
        storms(&runtime, &auth, token, what, way);
    }
}

fn storms(runtime: &Runtime, auth: &Auth<User>, token: &str, what: &str, way: Option<&Way>) {
    let logins = match way {
        None => 0,
        Some(_) if is_trial() => 1,
        Some(_) => LOGINS,
    };
    let mut latencies = Vec::new();
    let mut storms = Vec::new();
    reset_peak();
    for _ in 0..if is_trial() { 1 } else { STORMS } {
        storms.push(storm(runtime, auth, token, way.map(|way| (way, logins)), &mut latencies));
    }
    latencies.sort();
    storms.sort();
    let at = |share| percentile(&latencies, share);
    println!(
        "  {what:<16} p50 {:>7}  p99 {:>7}  worst {:>7}  of {:>5} requests; a storm took {:>5} ms; at most {:>5} MiB",
        micros(at(0.5)),
        micros(at(0.99)),
        micros(at(1.0)),
        latencies.len(),
        percentile(&storms, 0.5).as_millis(),
        peak_mib().map_or("?".to_owned(), |mib| mib.to_string()),
    );
}

/// One storm of logins, or half a second without any; says how long it took.
fn storm(
    runtime: &Runtime,
    auth: &Auth<User>,
    token: &str,
    logins: Option<(&Way, usize)>,
    latencies: &mut Vec<Duration>,
) -> Duration {
    let service = auth.require().layer(inner());
    let waiting = Arc::new(AtomicUsize::new(logins.map_or(0, |(_, count)| count)));
    let at_least = Duration::from_millis(if logins.is_some() { 0 } else { 500 });
    let start = Instant::now();
    for _ in 0..waiting.load(Ordering::SeqCst) {
        let (way, waiting) = (logins.map(|(way, _)| way.clone()), Arc::clone(&waiting));
        runtime.spawn(async move {
            if let Some(way) = way {
                way.log_in().await;
            }
            waiting.fetch_sub(1, Ordering::SeqCst);
        });
    }
    let (answered, answers) = mpsc::channel();
    while waiting.load(Ordering::SeqCst) > 0 || start.elapsed() < at_least {
        let (service, request, answered) = (service.clone(), request(token, Carrier::Bearer), answered.clone());
        let arrived = Instant::now();
        runtime.spawn(async move {
            let answer = service.oneshot(request).await;
            let admitted = answer.is_ok_and(|answer| answer.status().is_success());
            let _ = answered.send((admitted, arrived.elapsed()));
        });
        thread::sleep(Duration::from_millis(1));
    }
    let took = start.elapsed();
    drop(answered);
    for (admitted, latency) in answers {
        assert!(admitted, "the token is good");
        latencies.push(latency);
    }
    took
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index is small and not negative")]
fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}

fn micros(time: Duration) -> String {
    if time < Duration::from_millis(10) {
        format!("{} µs", time.as_micros())
    } else {
        format!("{} ms", time.as_millis())
    }
}

/// Makes the kernel forget the most memory that this process had, where there is such a kernel.
fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib / 1024)
}
