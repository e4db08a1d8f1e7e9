//! What a region may write about its slices: asked at the door, before a commit is made.
//!
//! Nothing is lost by a refusal. What peers wrote is never refused but judged by
//! [`Slices`].

use super::{Money, Slices, TRANSFERS_MAX, TransferFault, figure, is_bounded};
use crate::id::Region;
use crate::path::AttributePath;
use crate::value::{Assertion, Statement};

/// Where a write is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Desk<'a> {
    /// The region of the node.
    pub region: &'a Region,
    /// Whether the node is the one through which its region draws and gives: the first of the
    /// region's members, by the roster. Two nodes apart could both spend the same slice.
    pub is_teller: bool,
}

/// Why a write on a slice, a transfer or an exposure is refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// What kind of refusal it is. Stable: programs match on it.
    pub code: &'static str,
    /// The attribute.
    pub path: AttributePath,
    /// What is wrong and what to do, for a clerk.
    pub text: String,
}

impl Refusal {
    const fn new(code: &'static str, path: AttributePath, text: String) -> Self {
        Self { code, path, text }
    }
}

/// What is written about.
enum Subject {
    Limit,
    Slice(Region),
    Exposure(Region),
    Transfer,
}

/// What a batch of edits would make of the slices.
struct Outcome<'a> {
    before: &'a Slices,
    after: Slices,
    desk: Desk<'a>,
    dealt: Option<AttributePath>,
    given: Option<AttributePath>,
    drawn: Option<AttributePath>,
}

impl Slices {
    /// Whether a region may report this exposure: up to what it has, or less than it reported before.
    ///
    /// Where no slices are dealt, every exposure may be reported.
    ///
    /// # Errors
    /// [`Refusal`]: it is beyond the slice, in another currency, or not this node's to report.
    pub fn can_draw(&self, desk: Desk<'_>, exposure: &Money) -> Result<(), Refusal> {
        let path = super::path(&self.segment, &format!("exposure/{}", desk.region));
        let Some(path) = path else { return Ok(()) };
        let mut outcome = Outcome::new(self, desk);
        outcome.draw(&path, desk.region, exposure)?;
        outcome.judge()
    }

    /// Whether a commit with these edits of one record may be made. Edits of other attributes and
    /// other segments pass.
    ///
    /// # Errors
    /// The first [`Refusal`].
    pub fn admit(
        &self,
        desk: Desk<'_>,
        edits: &[(AttributePath, Assertion)],
    ) -> Result<(), Refusal> {
        let mut subjects: Vec<(&AttributePath, Subject, &Assertion)> = edits
            .iter()
            .filter_map(|(path, assertion)| Some((path, self.subject(path)?, assertion)))
            .collect();
        // The limit first, then what is dealt: what is given and drawn rests on them.
        subjects.sort_by_key(|(_, subject, _)| match subject {
            Subject::Limit => 0,
            Subject::Slice(_) => 1,
            Subject::Exposure(_) | Subject::Transfer => 2,
        });
        let mut outcome = Outcome::new(self, desk);
        for (path, subject, assertion) in subjects {
            match subject {
                Subject::Limit => outcome.set_limit(assertion),
                Subject::Slice(region) => outcome.deal(path, region, assertion)?,
                Subject::Exposure(region) => outcome.report(path, &region, assertion)?,
                Subject::Transfer => outcome.give(path, assertion)?,
            }
        }
        outcome.judge()
    }

    fn subject(&self, path: &AttributePath) -> Option<Subject> {
        let rest = path.as_str().strip_prefix("credit/")?.strip_prefix(&self.segment)?;
        match rest.strip_prefix('/')?.split_once('/') {
            None => (rest == "/limit").then_some(Subject::Limit),
            Some(("slice", region)) => region.parse().ok().map(Subject::Slice),
            Some(("exposure", region)) => region.parse().ok().map(Subject::Exposure),
            Some(("transfer", _)) => Some(Subject::Transfer),
            Some(_) => None,
        }
    }
}

impl<'a> Outcome<'a> {
    fn new(before: &'a Slices, desk: Desk<'a>) -> Self {
        Self { before, after: before.clone(), desk, dealt: None, given: None, drawn: None }
    }

    /// The first limit may come with its slices. A raised one counts when it stands.
    fn set_limit(&mut self, assertion: &Assertion) {
        if let Assertion::Stated(statement) = assertion
            && self.after.limit.is_none()
            && self.after.owner.as_ref() == Some(self.desk.region)
        {
            self.after.limit = Money::of(&statement.value);
        }
    }

    fn deal(
        &mut self,
        path: &AttributePath,
        region: Region,
        assertion: &Assertion,
    ) -> Result<(), Refusal> {
        let segment = &self.after.segment;
        let refuse = |code, text| Err(Refusal::new(code, path.clone(), text));
        match &self.after.owner {
            Some(owner) if owner == self.desk.region => {}
            Some(owner) => {
                let text = format!("Only {owner} deals slices of credit/{segment}. Ask {owner}.");
                return refuse("slice-not-owners", text);
            }
            None => {
                let text = format!(
                    "The policy names no owner of credit/{segment}. Name one before the limit is \
                     split."
                );
                return refuse("slice-needs-owner", text);
            }
        }
        self.ask_teller(path)?;
        let had = self.after.regions.get(&region).map_or(0, |slice| slice.granted_most);
        let Assertion::Stated(statement) = assertion else {
            return refuse("slice-lowered", lowered(&region));
        };
        let money = self.money(path, statement)?;
        if money.amount < had {
            return refuse("slice-lowered", lowered(&region));
        }
        let slice = self.after.regions.entry(region).or_default();
        slice.granted_least = Some(money.amount);
        slice.granted_most = money.amount;
        slice.is_dealt = true;
        self.dealt = Some(path.clone());
        Ok(())
    }

    fn report(
        &mut self,
        path: &AttributePath,
        region: &Region,
        assertion: &Assertion,
    ) -> Result<(), Refusal> {
        if !self.after.is_dealt() {
            return Ok(());
        }
        if let Assertion::Stated(statement) = assertion
            && let Some(money) = Money::of(&statement.value)
        {
            if is_bounded(statement) {
                return Err(bounded(path));
            }
            return self.draw(path, region, &money);
        }
        // Another source's figure may come to light; until then nothing is free.
        self.ask_own(path, region)
    }

    fn draw(
        &mut self,
        path: &AttributePath,
        region: &Region,
        money: &Money,
    ) -> Result<(), Refusal> {
        if !self.after.is_dealt() {
            return Ok(());
        }
        self.ask_own(path, region)?;
        self.ask_currency(path, money)?;
        let slice = self.after.regions.entry(region.clone()).or_default();
        slice.exposure = money.amount;
        slice.is_in_other_currency = false;
        self.drawn = Some(path.clone());
        Ok(())
    }

    fn give(&mut self, path: &AttributePath, assertion: &Assertion) -> Result<(), Refusal> {
        let refuse = |code, text| Err(Refusal::new(code, path.clone(), text));
        let id = path.as_str();
        let known = self.after.transfers.iter().find(|transfer| transfer.path.as_str() == id);
        let Assertion::Stated(statement) = assertion else {
            return match known {
                Some(known) if known.fault != Some(TransferFault::NotGivers) => {
                    let text = "What is given stays given. Let the region that received it give it \
                                back by a transfer of its own.";
                    refuse("transfer-final", text.to_owned())
                }
                Some(_) | None => Ok(()),
            };
        };
        let money = self.money(path, statement)?;
        let Some((from, to, _)) = super::transfer::parse(&statement.value) else {
            let text = "A transfer names two regions, from and to, like EMEA and AMER.";
            return refuse("transfer-malformed", text.to_owned());
        };
        if from != *self.desk.region {
            let text = format!("Only {from} can give its slice away. Ask {from} for the transfer.");
            return refuse("transfer-not-givers", text);
        }
        self.ask_teller(path)?;
        if let Some(known) = known {
            let is_same = (&known.from, &known.to, &known.money) == (&from, &to, &money);
            let text = "This transfer is made already, and it is final. Make another one under an id \
                        of its own.";
            return if is_same { Ok(()) } else { refuse("transfer-final", text.to_owned()) };
        }
        if from == to || !self.after.regions.get(&to).is_some_and(|slice| slice.is_dealt) {
            let text =
                format!("{to} has no slice here that {from} could add to. Choose another one.");
            return refuse("transfer-receiver", text);
        }
        let made = self.after.transfers.iter().filter(|transfer| transfer.from == from).count();
        if made >= TRANSFERS_MAX {
            let text = format!(
                "{from} has made {TRANSFERS_MAX} transfers here, and no more count. Ask the owner to \
                 raise the slice of {to}."
            );
            return refuse("transfers-too-many", text);
        }
        let transfer = super::Transfer {
            path: path.clone(),
            from: from.clone(),
            to,
            money: money.clone(),
            author: from.clone(),
            fault: None,
        };
        self.after.transfers.push(transfer);
        self.after.regions.entry(from).or_default().given += i128::from(money.amount);
        self.given = Some(path.clone());
        Ok(())
    }

    /// Judges what all edits together come to.
    fn judge(self) -> Result<(), Refusal> {
        let Self { before, after, desk, dealt, given, drawn } = self;
        let Some(limit) = &after.limit else { return Ok(()) };
        let show = |amount: i128| figure(amount, &limit.currency);
        let granted = after.granted();
        if let Some(path) = dealt
            && granted > i128::from(limit.amount)
        {
            let text = format!(
                "The slices would sum up to {}, more than the limit of {limit}. Deal less, or raise \
                 the limit first.",
                show(granted)
            );
            return Err(Refusal::new("slices-exceed-limit", path, text));
        }
        let slice = after.regions.get(desk.region).cloned().unwrap_or_default();
        if let Some(path) = given
            && after.available(desk.region) < 0
        {
            let has = before.available(desk.region).max(0);
            let text = format!(
                "{} has {} of its slice left and cannot give more. Give less, or ask another region.",
                desk.region,
                show(has)
            );
            return Err(Refusal::new("transfer-uncovered", path, text));
        }
        let reported = before.regions.get(desk.region).map_or(0, |slice| slice.exposure);
        if let Some(path) = drawn
            && slice.available() < 0
            && slice.exposure > reported
        {
            let text = format!(
                "{} may draw {} here, and this would be {}. Ask another region to give some of its \
                 slice, or the owner to raise the limit.",
                desk.region,
                show(slice.rights().max(0)),
                show(i128::from(slice.exposure)),
            );
            return Err(Refusal::new("slice-exceeded", path, text));
        }
        Ok(())
    }

    /// The amount of a slice or transfer, which holds for good and is in the limit's currency.
    fn money(&self, path: &AttributePath, statement: &Statement) -> Result<Money, Refusal> {
        if is_bounded(statement) {
            return Err(bounded(path));
        }
        let Some(money) = Money::of(&statement.value) else {
            let text = "State an amount and its currency.".to_owned();
            return Err(Refusal::new("amount-missing", path.clone(), text));
        };
        self.ask_currency(path, &money)?;
        Ok(money)
    }

    fn ask_currency(&self, path: &AttributePath, money: &Money) -> Result<(), Refusal> {
        let text = match &self.after.limit {
            None => "There is no credit limit to split here. State one first.".to_owned(),
            Some(limit) if limit.currency != money.currency => format!(
                "The limit is in {}, and amounts are not converted. State this in {} too.",
                limit.currency, limit.currency
            ),
            Some(_) => return Ok(()),
        };
        Err(Refusal::new("slice-currency", path.clone(), text))
    }

    fn ask_own(&self, path: &AttributePath, region: &Region) -> Result<(), Refusal> {
        if region != self.desk.region {
            let text = format!(
                "Only {region} reports its own exposure, because its slice is held against it."
            );
            return Err(Refusal::new("exposure-not-own", path.clone(), text));
        }
        self.ask_teller(path)
    }

    fn ask_teller(&self, path: &AttributePath) -> Result<(), Refusal> {
        if self.desk.is_teller {
            return Ok(());
        }
        let text = format!(
            "Slices of {} are drawn and given through its first node alone, so that no two nodes \
             spend the same. Write this there.",
            self.desk.region
        );
        Err(Refusal::new("not-teller", path.clone(), text))
    }
}

fn lowered(region: &Region) -> String {
    format!(
        "The slice of {region} cannot be made smaller from here, because {region} may have drawn it \
         already. Let {region} give it back by a transfer."
    )
}

fn bounded(path: &AttributePath) -> Refusal {
    let text =
        "A slice, a transfer or an exposure holds until further notice: state it without days.";
    Refusal::new("slice-bounded", path.clone(), text.to_owned())
}
