//! A thief and a victim use one refresh token, in every order.
//!
//! The victim (`v`) and the thief (`t`) each refresh twice and present an access token. Afterwards
//! they refresh in turns, the victim first, with the grace passing in between. Within the grace,
//! the thief looks like a second browser tab, and the two share one chain. After the grace, the
//! second of the two is detected, and the session ends for both.

use portcullis_properties::{
    memory::Memory,
    theft::{Pace, table},
};

#[test]
fn within_the_grace_both_share_one_chain_until_one_is_late() {
    let expected = "\
order  | victim             | thief              | victim later       | thief later
vvvttt | new new ok         | REUSED REUSED -    | REUSED REUSED      | REUSED REUSED
vvtvtt | new new over       | REUSED REUSED -    | REUSED REUSED      | REUSED REUSED
vvttvt | new new over       | REUSED REUSED -    | REUSED REUSED      | REUSED REUSED
vvtttv | new new over       | REUSED REUSED -    | REUSED REUSED      | REUSED REUSED
vtvvtt | new new ok         | same same ok       | new REUSED         | REUSED REUSED
vtvtvt | new new ok         | same same ok       | new REUSED         | REUSED REUSED
vtvttv | new new ok         | same same ok       | new REUSED         | REUSED REUSED
vttvvt | new same ok        | same new ok        | new REUSED         | REUSED REUSED
vttvtv | new same ok        | same new ok        | new REUSED         | REUSED REUSED
vtttvv | new same ok        | same new ok        | new REUSED         | REUSED REUSED
tvvvtt | same new ok        | new same ok        | new REUSED         | REUSED REUSED
tvvtvt | same new ok        | new same ok        | new REUSED         | REUSED REUSED
tvvttv | same new ok        | new same ok        | new REUSED         | REUSED REUSED
tvtvvt | same same ok       | new new ok         | new REUSED         | REUSED REUSED
tvtvtv | same same ok       | new new ok         | new REUSED         | REUSED REUSED
tvttvv | same same ok       | new new ok         | new REUSED         | REUSED REUSED
ttvvvt | REUSED REUSED -    | new new over       | REUSED REUSED      | REUSED REUSED
ttvvtv | REUSED REUSED -    | new new over       | REUSED REUSED      | REUSED REUSED
ttvtvv | REUSED REUSED -    | new new over       | REUSED REUSED      | REUSED REUSED
tttvvv | REUSED REUSED -    | new new ok         | REUSED REUSED      | REUSED REUSED
";
    assert_eq!(table(&Memory, Pace::WithinTheGrace).unwrap(), expected);
}

#[test]
fn after_the_grace_the_second_use_ends_the_session_for_both() {
    let expected = "\
order  | victim             | thief              | victim later       | thief later
vvvttt | new new ok         | REUSED REUSED -    | REUSED REUSED      | REUSED REUSED
vvtvtt | new new over       | REUSED REUSED -    | REUSED REUSED      | REUSED REUSED
vvttvt | new new over       | REUSED REUSED -    | REUSED REUSED      | REUSED REUSED
vvtttv | new new over       | REUSED REUSED -    | REUSED REUSED      | REUSED REUSED
vtvvtt | new REUSED over    | REUSED REUSED -    | REUSED REUSED      | REUSED REUSED
vtvtvt | new REUSED over    | REUSED REUSED -    | REUSED REUSED      | REUSED REUSED
vtvttv | new REUSED over    | REUSED REUSED -    | REUSED REUSED      | REUSED REUSED
vttvvt | new REUSED over    | REUSED REUSED -    | REUSED REUSED      | REUSED REUSED
vttvtv | new REUSED over    | REUSED REUSED -    | REUSED REUSED      | REUSED REUSED
vtttvv | new REUSED over    | REUSED REUSED -    | REUSED REUSED      | REUSED REUSED
tvvvtt | REUSED REUSED -    | new REUSED over    | REUSED REUSED      | REUSED REUSED
tvvtvt | REUSED REUSED -    | new REUSED over    | REUSED REUSED      | REUSED REUSED
tvvttv | REUSED REUSED -    | new REUSED over    | REUSED REUSED      | REUSED REUSED
tvtvvt | REUSED REUSED -    | new REUSED over    | REUSED REUSED      | REUSED REUSED
tvtvtv | REUSED REUSED -    | new REUSED over    | REUSED REUSED      | REUSED REUSED
tvttvv | REUSED REUSED -    | new REUSED over    | REUSED REUSED      | REUSED REUSED
ttvvvt | REUSED REUSED -    | new new over       | REUSED REUSED      | REUSED REUSED
ttvvtv | REUSED REUSED -    | new new over       | REUSED REUSED      | REUSED REUSED
ttvtvv | REUSED REUSED -    | new new over       | REUSED REUSED      | REUSED REUSED
tttvvv | REUSED REUSED -    | new new ok         | REUSED REUSED      | REUSED REUSED
";
    assert_eq!(table(&Memory, Pace::AfterTheGrace).unwrap(), expected);
}
