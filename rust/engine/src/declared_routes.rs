//! The declared ways to the venue: the host's own address, or CONNECT proxies of the operator's, in order of preference.
//!
//! A route is left for the next one when the CDN flags its address, or when it leads nowhere while the next one leads
//! to the venue; never because of a region: the venue is always asked over the host's own address, and over the route
//! besides. It carries orders only while both answers are a clear yes and name the one country that was declared for
//! all. Source: egress.md, "Eligibility comes first".

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use claw_core::engine::Answer;
use hyper::Uri;

use crate::fault::Fault;
use crate::netrc::{Netrc, Password};
use crate::refusal::Region;

const DIRECT: &str = "direct";

/// A CONNECT proxy of the operator's.
#[derive(Debug)]
pub struct Proxy {
    address: String,
    password: Option<Password>,
}

impl Proxy {
    /// `HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Who we are there; None where nobody asks.
    pub const fn password(&self) -> Option<&Password> {
        self.password.as_ref()
    }
}

/// The ways, and which of them is in use.
#[derive(Debug)]
pub struct Routes {
    /// None is the host's own address.
    ways: Vec<Option<Proxy>>,
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
    pub fn declared(routes: &[String], country: Option<&str>, passwords: &Netrc) -> Result<Rc<Self>, Fault> {
        let ways = routes.iter().map(|route| way(route, passwords));
        let ways: Vec<_> = ways.collect::<Result<_, _>>()?;
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

    /// The proxy of one of them.
    pub fn proxy_of(&self, route: usize) -> Option<&Proxy> {
        self.ways.get(route).and_then(Option::as_ref)
    }

    /// The proxy of the one in use.
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy_of(self.current())
    }

    /// The one in use, for people.
    pub fn name(&self) -> &str {
        self.proxy().map_or(DIRECT, Proxy::address)
    }

    /// The one after that which the CDN has not flagged, if there is another one.
    pub fn next(&self) -> Option<usize> {
        let (count, flagged) = (self.ways.len(), self.flagged.borrow());
        let mut following = (1..count).map(|step| (self.current() + step) % count);
        following.find(|route| !flagged.contains(route))
    }

    /// This one leads nowhere for now: go on to the next; whether there was one.
    pub fn move_on(&self) -> bool {
        let next = self.next();
        if let Some(route) = next {
            self.current.set(route);
        }
        next.is_some()
    }

    /// The CDN flags this one: go on to the next that it has not, if there is one; whether there was.
    pub fn leave(&self) -> bool {
        self.flagged.borrow_mut().insert(self.current());
        self.move_on()
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

fn way(route: &str, passwords: &Netrc) -> Result<Option<Proxy>, Fault> {
    if route == DIRECT {
        return Ok(None);
    }
    // What it is may hold a password: it is not shown.
    let unusable = || Fault::User(format!("a route is {DIRECT} or http://HOST:PORT, nothing else"));
    let uri: Uri = route.parse().map_err(|_| unusable())?;
    let authority = uri.authority().ok_or_else(unusable)?;
    let is_plain = uri.scheme_str() == Some("http") && !authority.as_str().contains('@');
    match authority.port_u16() {
        Some(port) if is_plain => Ok(Some(Proxy {
            address: format!("{}:{port}", authority.host()),
            password: passwords.of(authority.host()),
        })),
        _ => Err(unusable()),
    }
}

#[cfg(test)]
mod tests {
    use claw_core::engine::Answer;

    use super::{Proxy, Routes};
    use crate::netrc::Netrc;
    use crate::refusal::Region;

    fn answer(blocked: bool, country: &str) -> Region {
        Region {
            blocked,
            country: country.to_owned(),
        }
    }

    fn declared(routes: &[&str], country: Option<&str>) -> Option<std::rc::Rc<Routes>> {
        let routes: Vec<_> = routes.iter().map(|route| (*route).to_owned()).collect();
        Routes::declared(&routes, country, &Netrc::default()).ok()
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
        assert_eq!((routes.name(), routes.proxy().is_none()), ("direct", true));
        assert!(routes.leave());
        assert_eq!(routes.proxy().map(Proxy::address), Some("10.0.0.1:3128"));
        assert!(routes.leave());
        assert_eq!(routes.name(), "vps:8080");
        assert!(!routes.leave(), "there is no other one");
        assert_eq!(routes.name(), "vps:8080");
        assert!(!Routes::direct().leave());
    }

    #[test]
    fn a_dead_route_is_gone_back_to_and_a_flagged_one_is_not() {
        let routes = declared(&["http://a:1", "http://b:1", "http://c:1"], Some("NL")).unwrap();
        assert!(routes.leave() && routes.move_on());
        assert_eq!(routes.name(), "c:1");
        assert!(routes.move_on());
        assert_eq!(routes.name(), "b:1", "a is flagged");
        assert!(routes.leave() && !routes.move_on());
        assert_eq!(routes.name(), "c:1");
        assert_eq!(Routes::direct().next(), None);
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
