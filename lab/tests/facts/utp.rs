//! uTP on a line with a bottleneck, as the driver runs it.

use hexad_lab::scenarios::bittorrent::UTP;
use hexad_lab::{Gauge, Silent, Size};

#[test]
fn what_is_said_of_utp_holds_on_a_line_with_delay_and_a_queue() {
    let params = UTP.claim_params(Size::Small, 1).unwrap();
    let outcome = (UTP.run)(&params, &mut Gauge::new(&mut Silent)).unwrap();
    for finding in &outcome.findings {
        assert!(finding.holds(), "{finding:?}\n{:?}", outcome.tables);
    }
    assert_eq!(outcome.findings.len(), 9);
}

#[test]
fn a_line_repeats_a_race() {
    let params = UTP.params([("part", "2s"), ("loss", "200"), ("seed", "3")]).unwrap();
    let [one, other] = [(), ()].map(|()| UTP.execute(&params, &mut Silent).unwrap());
    assert_eq!((&one.line, one.outcome.digest), (&other.line, other.outcome.digest));
    let lost = UTP.execute(&UTP.params([("part", "2s"), ("seed", "4"), ("loss", "200")]).unwrap(), &mut Silent).unwrap();
    assert_ne!(one.outcome.digest, lost.outcome.digest);
}
