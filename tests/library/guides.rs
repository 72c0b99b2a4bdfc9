//! Every guide is linked from the README and from the list of guides.

use std::collections::BTreeSet;

const GUIDES: &str = include_str!("../../src/guide/mod.rs");

#[test]
fn the_readme_and_the_list_name_every_guide() {
    let modules: BTreeSet<&str> =
        GUIDES.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(" {}")).collect();
    assert!(modules.len() >= 12);
    let listed: BTreeSet<&str> =
        GUIDES.lines().filter_map(|line| line.strip_prefix("//! | [`")?.split_once("`] | ")).map(|row| row.0).collect();
    assert_eq!(listed, modules);
    let readme = include_str!("../../README.md");
    for module in modules {
        assert!(readme.contains(&format!("/portcullis/guide/{module}/index.html): ")), "{module}");
    }
}
