//! The scripts. Each is called by its hash once the server has it.

use std::sync::LazyLock;

use ::redis::Cmd;

/// The source of a script, and its hash.
pub(super) struct Script {
    source: String,
    name: String,
}

macro_rules! script {
    ($name:ident, $file:literal) => {
        pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!(include_str!("lua/common.lua"), include_str!($file))));
    };
}

script!(CREATE, "lua/create.lua");
script!(ROTATE, "lua/rotate.lua");
script!(END, "lua/end.lua");
script!(END_ALL, "lua/end_all.lua");

impl Script {
    fn new(source: &str) -> Self {
        let name = ::redis::Script::new(source).get_hash().to_owned();
        Self { source: source.to_owned(), name }
    }

    /// Calls the script by its hash, which works if the server has it.
    pub(super) fn by_name(&self, keys: [&str; 2], arguments: &[&[u8]]) -> Cmd {
        command("EVALSHA", &self.name, keys, arguments)
    }

    /// Calls the script by its source. The server keeps it for later calls.
    pub(super) fn in_full(&self, keys: [&str; 2], arguments: &[&[u8]]) -> Cmd {
        command("EVAL", &self.source, keys, arguments)
    }
}

fn command(name: &str, script: &str, keys: [&str; 2], arguments: &[&[u8]]) -> Cmd {
    let mut command = ::redis::cmd(name);
    command.arg(script).arg(keys.len()).arg(&keys).arg(arguments);
    command
}

#[cfg(test)]
mod tests {
    use crate::session::MAX_ENDED_SESSIONS_OF_A_USER;

    #[test]
    fn the_scripts_keep_as_many_records_as_other_stores() {
        let most = format!("local MAX_ENDED = {MAX_ENDED_SESSIONS_OF_A_USER}\n");
        assert!(include_str!("lua/common.lua").contains(&most));
    }
}
