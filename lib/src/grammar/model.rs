//! The grammar as data: rules, classes of entries, and the variables that are drawn from them.

/// Variables one grammar may have; bindings are arrays of this size, cheap to copy.
pub(super) const MAX_VARIABLES: usize = 48;
/// Entries one class may have; a set of drawn entries is one `u128`.
pub(super) const MAX_ENTRIES: usize = 128;

/// One piece of an alternative.
#[derive(Debug, Clone)]
pub(super) enum Symbol {
    /// Literal characters.
    Text(String),
    /// `^`: the next character is a capital.
    Capital,
    /// `<name>` or `[…|…]`: one alternative of the rule with this index.
    Rule(usize),
    /// `{name.form}`: a form of the entry that the variable is bound to.
    Variable { variable: usize, form: usize },
}

/// One way to expand a rule.
#[derive(Debug, Clone)]
pub(super) struct Alternative {
    pub probability: f64,
    pub symbols: Vec<Symbol>,
    pub line: usize,
    /// As written in the file, for messages.
    pub source: String,
}

/// A named rule, or an inline group, which has the name of the rule that it stands in.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub name: String,
    pub line: usize,
    pub alternatives: Vec<Alternative>,
}

/// One entry of a class: a form for each of the class's columns.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub probability: f64,
    pub forms: Vec<String>,
}

/// A class of entries, such as people or foods.
#[derive(Debug, Clone)]
pub(crate) struct Class {
    pub name: String,
    pub line: usize,
    pub forms: Vec<String>,
    pub entries: Vec<Entry>,
}

/// A variable: one entry of its class, the same throughout a story.
#[derive(Debug, Clone)]
pub(super) struct Variable {
    pub name: String,
    pub line: usize,
    pub class: usize,
}

/// A whole grammar, names resolved to indices. A story is an expansion of rule `start` and a line end.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub rules: Vec<Rule>,
    pub classes: Vec<Class>,
    pub variables: Vec<Variable>,
    pub start: usize,
}

impl Model {
    /// The class that a variable draws from.
    pub fn class_of(&self, variable: usize) -> &Class {
        &self.classes[self.variables[variable].class]
    }

    /// The other variables of the same class, which never share an entry with this one.
    pub fn rivals(&self, variable: usize) -> impl Iterator<Item = usize> + '_ {
        let class = self.variables[variable].class;
        (0..self.variables.len()).filter(move |&v| v != variable && self.variables[v].class == class)
    }
}

/// The character with `^` before it.
pub(super) fn capital(c: char) -> char {
    c.to_uppercase().next().unwrap_or(c)
}
