//! Checks the settings of the server when a store connects.

use std::collections::HashMap;

use super::{
    connection::{Link, failed},
    options::{Persistence, RedisOptions},
};
use crate::store::StoreError;

/// Refuses a server whose settings would lose sessions.
pub(super) async fn check(link: &Link, options: &RedisOptions) -> Result<(), StoreError> {
    let mut info = ::redis::cmd("INFO");
    info.arg("everything");
    let info: String = ::redis::from_redis_value(link.read(info).await?).map_err(failed)?;
    let says = |name: &str| {
        let named = |line: &str| line.strip_prefix(name)?.strip_prefix(':').map(|value| value.trim().to_owned());
        info.lines().find_map(named)
    };
    let major = says("redis_version").and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    // Before 7.0, refused scripts have no error codes of their own, and `min-replicas-to-write`
    // does not apply to scripts.
    refuse_unless(major.is_none_or(|major| major >= 7), "this is older than Redis 7.0, or Valkey 7.2")?;
    refuse_unless(says("role").is_none_or(|role| role == "master"), "this is a replica: name the primary in the URL")?;
    let policy = says("maxmemory_policy").unwrap_or_default();
    if policy != "noeviction" {
        return Err(StoreError::internal(format!(
            "maxmemory-policy is {policy:?}: it must be noeviction, or a full Redis deletes sessions and revocations"
        )));
    }
    let appends = says("aof_enabled").is_some_and(|value| value == "1");
    match options.persistence {
        Persistence::AppendOnly => {
            refuse_unless(
                appends,
                "appendonly is off: it must be yes, or a crash loses the revocations since the last snapshot",
            )?;
        }
        Persistence::Snapshots if !appends => {
            let saves = setting(link, "save").await?.is_none_or(|save| !save.is_empty());
            refuse_unless(saves, "neither appendonly nor save is set: a restart would lose every session")?;
        }
        Persistence::Snapshots | Persistence::Nothing => {}
    }
    if options.min_replicas > 0 {
        let number = setting(link, "min-replicas-to-write").await?.and_then(|number| number.parse::<u32>().ok());
        if number.is_none_or(|number| number < options.min_replicas) {
            return Err(StoreError::internal(format!(
                "min-replicas-to-write is {}: it must be at least {}",
                number.map_or_else(|| "unknown".to_owned(), |number| number.to_string()),
                options.min_replicas
            )));
        }
    }
    Ok(())
}

fn refuse_unless(is_ok: bool, why: &'static str) -> Result<(), StoreError> {
    if is_ok { Ok(()) } else { Err(StoreError::internal(why)) }
}

/// Returns a setting of the server. Returns `None` where the server refuses `CONFIG`, as managed
/// servers do.
async fn setting(link: &Link, name: &str) -> Result<Option<String>, StoreError> {
    let mut config = ::redis::cmd("CONFIG");
    config.arg("GET").arg(name);
    match link.read(config).await {
        Ok(value) => {
            let mut settings: HashMap<String, String> = ::redis::from_redis_value(value).map_err(failed)?;
            Ok(settings.remove(name))
        }
        Err(error) if error.is_unavailable() => Err(error),
        Err(_) => Ok(None),
    }
}
