//! A login storm against a server of its own process: 16 clients log in again and again beside 200
//! guarded requests a second, the server on one core and the clients on another.
//!
//! Three servers in one run, all on axum: ours with every default, and what most services do,
//! `spawn_blocking(argon2)` for each login, without a limit and with one permit. Beside them: how
//! many hashes one thread makes that does nothing else. Then 500 logins at once, for the most
//! memory that each server takes.
//!
//! Not criterion's: what counts is the 99th percentile of one run. It needs `taskset` (util-linux)
//! to keep both sides apart, and says so where there is none.

#[path = "storm/clients.rs"]
mod clients;
#[path = "storm/server.rs"]
mod server;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use portcullis_benches::cases::is_trial;

use self::{
    clients::{Load, Measured},
    server::{Kind, Server},
};

fn main() {
    if let Some(kind) = Kind::of_this_process() {
        return server::serve(kind);
    }
    let pinned = pin_this_process();
    if !pinned {
        println!("`taskset` is missing or there is one core: servers and clients share what there is");
    }
    let hashes = bare_hashes_per_second(pinned);
    println!("one thread that does nothing but hash, in memory that it keeps: {hashes:.1} hashes/s\n");
    println!(
        "200 guarded requests/s, without and beside 16 clients that log in again and again; then 500 logins at once:"
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("threads can be started");
    for kind in Kind::ALL {
        let mut server = Server::start(kind, pinned);
        let measured = runtime.block_on(Load::of(&server.address).run(seconds(3), seconds(12)));
        let peak_beside_sixteen = server.peak_mib();
        let refused = runtime.block_on(clients::at_once(&server.address, if is_trial() { 8 } else { 500 }));
        report(kind, &measured, hashes, peak_beside_sixteen, server.peak_mib(), refused);
        server.stop();
    }
}

fn seconds(seconds: u64) -> Duration {
    if is_trial() { Duration::from_millis(300) } else { Duration::from_secs(seconds) }
}

fn report(kind: Kind, measured: &Measured, hashes: f64, sixteen: u64, five_hundred: u64, refused: usize) {
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let (idle, storm) = (millis(measured.idle.at(0.99)), millis(measured.storm.at(0.99)));
    println!(
        "  {:<28} median {:.2} -> {:.2} ms, p99 {idle:>6.2} -> {storm:>7.2} ms (x{:.1}), worst {:>7.1} ms; {:>5.1} logins/s, {:.2} of the bare \
         thread; {sixteen} MiB, with 500 at once {five_hundred} MiB ({refused} told to come back)",
        kind.name(),
        millis(measured.idle.at(0.5)),
        millis(measured.storm.at(0.5)),
        storm / idle,
        millis(measured.storm.at(1.0)),
        measured.logins_per_second,
        measured.logins_per_second / hashes,
    );
}

/// Hashes with the default parameters on the server's core.
fn bare_hashes_per_second(pinned: bool) -> f64 {
    let hash = || {
        let params = Params::new(19_456, 2, 1, None).expect("they are OWASP's");
        let mut memory = vec![Block::default(); params.block_count()];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let (mut made, start) = (0_u32, Instant::now());
        while start.elapsed() < seconds(3) {
            let mut out = [0; 32];
            argon2
                .hash_password_into_with_memory(
                    b"correct horse battery staple",
                    b"somesaltsomesalt",
                    &mut out,
                    &mut memory,
                )
                .expect("the parameters are good");
            made += 1;
        }
        f64::from(made) / start.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            if pinned {
                pin(&thread_id(), SERVER_CORE);
            }
            hash()
        });
        thread.join().expect("it does not panic")
    })
}

const SERVER_CORE: &str = "0";
const CLIENT_CORE: &str = "1";

/// Leaves a core to the servers. Threads that are started later stay where this one is.
fn pin_this_process() -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores > 1 && pin(&std::process::id().to_string(), CLIENT_CORE)
}

fn pin(thread: &str, core: &str) -> bool {
    Command::new("taskset").args(["-cp", core, thread]).output().is_ok_and(|output| output.status.success())
}

/// The number that the kernel has given this thread.
fn thread_id() -> String {
    let link = std::fs::read_link("/proc/thread-self").unwrap_or_default();
    link.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned()
}
