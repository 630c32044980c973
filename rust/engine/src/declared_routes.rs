//! The declared ways to the venue: the host's own address, or CONNECT proxies of the operator's, in order of preference.
//!
//! A route is left for the next one when the CDN flags its address, never because of a region: the venue is always
//! asked over the host's own address, and over the route besides. It carries orders only while both answers are a clear
//! yes and name the one country that was declared for all. Source: egress.md, "Eligibility comes first".

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use claw_core::engine::Answer;
use hyper::Uri;

use crate::fault::Fault;
use crate::refusal::Region;

const DIRECT: &str = "direct";

/// The ways, and which of them is in use.
#[derive(Debug)]
pub struct Routes {
    /// `HOST:PORT` of a proxy; None is the host's own address.
    ways: Vec<Option<String>>,
    country: Option<String>,
    current: Cell<usize>,
    flagged: RefCell<BTreeSet<usize>>,
}

impl Routes {
    /// The host's own address alone.
    pub fn direct() -> Rc<Self> {
        Rc::new(Self {
            ways: vec![None],
            country: None,
            current: Cell::new(0),
            flagged: RefCell::default(),
        })
    }

    /// `direct` or `http://HOST:PORT` each; with a proxy there must be a country.
    pub fn declared(routes: &[String], country: Option<&str>) -> Result<Rc<Self>, Fault> {
        let ways: Vec<_> = routes.iter().map(|route| way(route)).collect::<Result<_, _>>()?;
        if ways.is_empty() {
            return Ok(Self::direct());
        }
        if country.is_none() && ways.iter().any(Option::is_some) {
            return Err(Fault::User(
                "a route over a proxy must declare its country".to_owned(),
            ));
        }
        Ok(Rc::new(Self {
            ways,
            country: country.map(str::to_owned),
            current: Cell::new(0),
            flagged: RefCell::default(),
        }))
    }

    /// Which one is in use.
    pub fn current(&self) -> usize {
        self.current.get()
    }

    /// The proxy of the one in use.
    pub fn proxy(&self) -> Option<&str> {
        self.ways.get(self.current()).and_then(Option::as_deref)
    }

    /// The one in use, for people.
    pub fn name(&self) -> &str {
        self.proxy().unwrap_or(DIRECT)
    }

    /// The CDN flags this one: go on to the next that it has not, if there is one; whether there was.
    pub fn leave(&self) -> bool {
        let count = self.ways.len();
        let mut flagged = self.flagged.borrow_mut();
        flagged.insert(self.current());
        let next = (1..count).map(|step| (self.current() + step) % count);
        let next = next.into_iter().find(|route| !flagged.contains(route));
        if let Some(route) = next {
            self.current.set(route);
        }
        next.is_some()
    }

    /// What the answers over the host's own address and over the proxy in use mean together.
    pub fn judge(&self, own: &Region, routed: &Region) -> Answer {
        if own.blocked || routed.blocked {
            return Answer::Region(true);
        }
        let declared = self.country.as_deref().filter(|country| !country.is_empty());
        if declared == Some(&own.country) && own.country == routed.country {
            return Answer::Region(false);
        }
        Answer::Failed(format!(
            "the route {} is declared to be in {}, this host is in {} and it answers from {}",
            self.name(),
            declared.unwrap_or("no country"),
            own.country,
            routed.country,
        ))
    }
}

fn way(route: &str) -> Result<Option<String>, Fault> {
    if route == DIRECT {
        return Ok(None);
    }
    let unusable = || Fault::User(format!("a route is {DIRECT} or http://HOST:PORT, not {route:?}"));
    let uri: Uri = route.parse().map_err(|_| unusable())?;
    let authority = uri.authority().ok_or_else(unusable)?;
    let is_plain = uri.scheme_str() == Some("http") && !authority.as_str().contains('@');
    match authority.port_u16() {
        Some(port) if is_plain => Ok(Some(format!("{}:{port}", authority.host()))),
        _ => Err(unusable()),
    }
}

#[cfg(test)]
mod tests {
    use claw_core::engine::Answer;

    use super::Routes;
    use crate::refusal::Region;

    fn answer(blocked: bool, country: &str) -> Region {
        Region {
            blocked,
            country: country.to_owned(),
        }
    }

    fn declared(routes: &[&str], country: Option<&str>) -> Option<std::rc::Rc<Routes>> {
        let routes: Vec<_> = routes.iter().map(|route| (*route).to_owned()).collect();
        Routes::declared(&routes, country).ok()
    }

    #[test]
    fn no_route_turns_a_no_into_a_yes_and_none_is_in_another_country() {
        let routes = declared(&["http://10.0.0.1:3128", "direct"], Some("NL")).unwrap();
        let cases = [
            (answer(false, "NL"), answer(false, "NL"), Some(false)),
            (answer(true, "NL"), answer(false, "NL"), Some(true)),
            (answer(false, "NL"), answer(true, "NL"), Some(true)),
            (answer(false, "NL"), answer(false, "IE"), None),
            (answer(false, "IE"), answer(false, "NL"), None),
            (answer(false, "IE"), answer(false, "IE"), None),
            (answer(false, ""), answer(false, ""), None),
            (answer(true, "GB"), answer(false, "NL"), Some(true)),
        ];
        for (own, routed, is_blocked) in cases {
            match (routes.judge(&own, &routed), is_blocked) {
                (Answer::Region(found), Some(wanted)) => assert_eq!(found, wanted),
                (Answer::Failed(_), None) => {}
                (other, _) => panic!("{own:?}, {routed:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_flagged_route_is_never_gone_back_to() {
        let routes = declared(&["direct", "http://10.0.0.1:3128", "http://vps:8080"], Some("NL")).unwrap();
        assert_eq!((routes.name(), routes.proxy()), ("direct", None));
        assert!(routes.leave());
        assert_eq!(routes.proxy(), Some("10.0.0.1:3128"));
        assert!(routes.leave());
        assert_eq!(routes.name(), "vps:8080");
        assert!(!routes.leave(), "there is no other one");
        assert_eq!(routes.name(), "vps:8080");
        assert!(!Routes::direct().leave());
    }

    #[test]
    fn what_is_no_route_is_refused() {
        for route in [
            "",
            "https://10.0.0.1:1",
            "http://10.0.0.1",
            "http://me:secret@10.0.0.1:1",
            "socks5://a:1",
        ] {
            assert!(declared(&[route], Some("NL")).is_none(), "{route}");
        }
        assert!(declared(&["http://10.0.0.1:3128"], None).is_none());
        assert!(declared(&["direct"], None).is_some());
    }
}
