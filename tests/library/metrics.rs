//! Counts and durations, by the documented names and labels.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use portcullis::{
    Auth, User,
    auth::{Check, ClientInfo, Presented},
    user::Login,
};

use crate::fixture::{Failure, PASSWORD, World, register, start_session};
use crate::login::log_in;

/// Recorded values, by name and labels.
#[derive(Clone, Default)]
struct Tally(Arc<Mutex<Recorded>>);

#[derive(Default)]
struct Recorded {
    described: BTreeMap<String, Option<Unit>>,
    counts: BTreeMap<String, u64>,
    gauges: BTreeMap<String, (f64, f64)>,
    times: BTreeMap<String, Vec<f64>>,
}

/// Returns a name with its labels, as `name{label=value,…}`.
struct Series {
    key: String,
    tally: Tally,
}

impl Tally {
    fn series(&self, key: &Key) -> Arc<Series> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        Arc::new(Series { key: format!("{}{labels}", key.name()), tally: self.clone() })
    }

    fn describe(&self, name: &KeyName, unit: Option<Unit>) {
        self.0.lock().unwrap().described.insert(name.as_str().to_owned(), unit);
    }

    fn count(&self, key: &str) -> u64 {
        self.0.lock().unwrap().counts.get(key).copied().unwrap_or_default()
    }

    fn times(&self, key: &str) -> Vec<f64> {
        self.0.lock().unwrap().times.get(key).cloned().unwrap_or_default()
    }
}

impl CounterFn for Series {
    fn increment(&self, by: u64) {
        *self.tally.0.lock().unwrap().counts.entry(self.key.clone()).or_default() += by;
    }

    fn absolute(&self, _: u64) {
        panic!("no counter here is absolute");
    }
}

impl GaugeFn for Series {
    fn increment(&self, by: f64) {
        let mut recorded = self.tally.0.lock().unwrap();
        let (now, peak) = recorded.gauges.entry(self.key.clone()).or_default();
        *now += by;
        *peak = peak.max(*now);
    }

    fn decrement(&self, by: f64) {
        GaugeFn::increment(self, -by);
    }

    fn set(&self, _: f64) {
        panic!("two services of one process would set it in turns");
    }
}

impl HistogramFn for Series {
    fn record(&self, value: f64) {
        self.tally.0.lock().unwrap().times.entry(self.key.clone()).or_default().push(value);
    }
}

impl Recorder for Tally {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, unit);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, unit);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, unit);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.series(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key))
    }
}

/// Records what a node does on this thread only, because other tests run beside it.
fn recorded<F: Future<Output = ()>>(world: &World, flows: impl FnOnce(Auth<User>) -> F) -> Tally {
    let tally = Tally::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    metrics::with_local_recorder(&tally, || {
        let auth = world.node();
        runtime.block_on(flows(auth));
    });
    tally
}

fn ada() -> Login {
    Login::either("ada@example.com")
}

/// A recorder that panics at every call.
struct Broken;

impl Recorder for Broken {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        panic!("it is broken");
    }

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        panic!("it is broken");
    }

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        panic!("it is broken");
    }

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        panic!("it is broken");
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        panic!("it is broken");
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("it is broken");
    }
}

#[test]
fn a_recorder_that_panics_stops_nothing() {
    let world = World::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    metrics::with_local_recorder(&Broken, || {
        let auth = world.node();
        runtime.block_on(async {
            let user = register(&auth, "ada").await;
            let pair = start_session(&auth, &user).await;
            log_in(&auth, "ada@example.com", PASSWORD).await.unwrap();
            auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap();
            auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
            auth.authenticate(&pair.access, Check::Stateless).await.unwrap_err();
        });
    });
}

#[test]
fn flows_events_hashes_and_store_calls_are_counted() {
    let world = World::new();
    let tally = recorded(&world, async |auth| {
        let user = register(&auth, "ada").await;
        let pair = start_session(&auth, &user).await;
        log_in(&auth, "ada@example.com", PASSWORD).await.unwrap();
        auth.login(&ada(), "a wrong guess".into(), &ClientInfo::unknown()).await.unwrap_err();
        auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap();
        auth.refresh("forged", &ClientInfo::unknown()).await.unwrap_err();
        auth.authenticate(&pair.access, Check::User).await.unwrap();
        world.store.fail("find_by_login", Failure::Before);
        auth.login(&ada(), PASSWORD.into(), &ClientInfo::unknown()).await.unwrap_err();
        world.store.recover();
        auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
    });
    for (labels, count) in [
        ("event=user.registered", 1),
        ("event=login.succeeded", 2),
        ("event=login.failed,reason=wrong_password", 1),
        ("event=session.refreshed", 1),
        ("event=store.unavailable", 1),
        ("event=session.ended,reason=logout", 1),
    ] {
        assert_eq!(tally.count(&format!("portcullis_events_total{{{labels}}}")), count, "{labels}");
    }
    for (labels, count) in [
        ("operation=register,outcome=ok", 1),
        ("operation=start_session,outcome=ok", 1),
        ("operation=login,outcome=ok", 1),
        ("operation=login,outcome=invalid_credentials", 1),
        ("operation=login,outcome=store_unavailable", 1),
        ("operation=refresh,outcome=ok", 1),
        ("operation=refresh,outcome=refresh_invalid", 1),
        ("operation=load_user,outcome=ok", 1),
        ("operation=poll,outcome=ok", 1),
        ("operation=logout,outcome=ok", 1),
    ] {
        assert_eq!(tally.times(&format!("portcullis_flow_duration_seconds{{{labels}}}")).len(), count, "{labels}");
    }
    for (labels, count) in [
        ("store=users,call=create,outcome=ok", 1),
        ("store=users,call=find_by_login,outcome=ok", 2),
        ("store=users,call=find_by_login,outcome=unavailable", 1),
        ("store=sessions,call=create,outcome=ok", 2),
        ("store=sessions,call=rotate,outcome=ok", 1),
        ("store=sessions,call=end,outcome=ok", 1),
        ("store=sessions,call=ended_since,outcome=ok", 1),
    ] {
        assert_eq!(tally.times(&format!("portcullis_store_duration_seconds{{{labels}}}")).len(), count, "{labels}");
    }
    // A registration, and two logins whose password was verified.
    for name in ["portcullis_hash_duration_seconds", "portcullis_hash_wait_seconds"] {
        assert_eq!(tally.times(name).len(), 3, "{name}");
    }
    let recorded = tally.0.lock().unwrap();
    assert_eq!(recorded.gauges["portcullis_hash_queue_length"], (0.0, 1.0), "now, and at its peak");
    let names = recorded.counts.keys().chain(recorded.gauges.keys()).chain(recorded.times.keys());
    for name in names.map(|key| key.split('{').next().unwrap()) {
        let unit = if name.ends_with("_seconds") { Unit::Seconds } else { Unit::Count };
        assert_eq!(recorded.described[name], Some(unit), "{name}");
    }
}

#[test]
fn durations_use_the_injected_clock() {
    let world = World::new();
    let tally = recorded(&world, async |auth| {
        let user = register(&auth, "ada").await;
        let pair = start_session(&auth, &user).await;
        world.store.hold("rotate");
        let refresh = tokio::spawn({
            let auth = auth.clone();
            async move { auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.map(drop) }
        });
        world.store.held().await;
        world.clock.advance(Duration::from_millis(250));
        world.store.release();
        refresh.await.unwrap().unwrap();
    });
    for key in [
        "portcullis_flow_duration_seconds{operation=refresh,outcome=ok}",
        "portcullis_store_duration_seconds{store=sessions,call=rotate,outcome=ok}",
    ] {
        assert_eq!(tally.times(key), [0.25], "{key}");
    }
}

#[test]
fn no_label_comes_from_a_request() {
    let world = World::new();
    let mut series = Vec::new();
    for users in [2, 4] {
        let tally = recorded(&world, async |auth| {
            for number in 0..users {
                let name = format!("user-{users}-{number}");
                let user = register(&auth, &name).await;
                let pair = start_session(&auth, &user).await;
                auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap();
                let mut client = ClientInfo::unknown();
                client.ip = Some([192, 0, 2, number].into());
                client.user_agent = Some(name.clone());
                auth.login(&Login::either(&name), "a wrong guess".into(), &client).await.unwrap_err();
            }
        });
        let recorded = tally.0.lock().unwrap();
        series.push(recorded.counts.keys().chain(recorded.times.keys()).cloned().collect::<Vec<_>>());
    }
    assert_eq!(series[0], series[1]);
}

#[test]
fn revocations_are_gauges_that_a_node_takes_back_at_its_end() {
    let world = World::new();
    let other = world.node_with(|builder| builder.revocation_capacity(500));
    let tally = Tally::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    metrics::with_local_recorder(&tally, || {
        let auth = world.node_with(|builder| builder.revocation_capacity(1000));
        runtime.block_on(async {
            auth.start().await.unwrap();
            let user = register(&other, "ada").await;
            let (one, two) = (start_session(&other, &user).await, start_session(&other, &user).await);
            other.logout(&Presented::refresh(&one.refresh), &ClientInfo::unknown()).await.unwrap();
            world.store.fail("end", Failure::Before);
            auth.logout(&Presented::refresh(&two.refresh), &ClientInfo::unknown()).await.unwrap_err();
            auth.poll_revocations().await.unwrap();
        });
        let gauge = |key: &str| tally.0.lock().unwrap().gauges[key].0.to_string();
        assert_eq!(gauge("portcullis_revocations{kind=session}"), "2");
        assert_eq!(gauge("portcullis_revocations_capacity"), "1500", "of both");
        assert_eq!(gauge("portcullis_unwritten_revocations"), "1");
        assert_eq!(tally.count("portcullis_poll_entries_total"), 1);
        drop((auth, other));
        runtime.block_on(tokio::task::yield_now());
        drop(runtime);
        for (key, (now, _)) in &tally.0.lock().unwrap().gauges {
            assert_eq!(now.to_string(), "0", "{key}");
        }
    });
}
