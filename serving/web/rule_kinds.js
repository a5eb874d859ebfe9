// What each kind of rule asks for on the page, and the rule it makes (models/lineups/rules.py).
const count = (label, value, more = {}) => ({ label, type: "number", value, min: 0, max: 150, ...more });
const share = (label, value) => ({ label, type: "number", value, min: 0, max: 100, share: true });
const teams = { label: "Teams", type: "text", list: true, placeholder: "any" };
const positions = (label = "Positions", placeholder = "any") => ({ label, type: "text", list: true, placeholder });
const players = (label = "Players") => ({ label, type: "players" });

// "1 QB, 2 WR/TE" -> [[["QB"], 1], [["WR", "TE"], 2]]
function roles(text) {
  return text.split(",").filter((part) => part.trim()).map((part) => {
    const [, number, names] = /^\s*(\d+)\s+(.+?)\s*$/.exec(part) || [];
    if (!number) throw new Error(`"${part.trim()}" is no role: write for example 1 QB, 2 WR/TE`);
    return [names.toUpperCase().split("/"), Number(number)];
  });
}

const bounds = (how, number) => ({
  least: { at_least: number, at_most: null }, most: { at_least: 0, at_most: number }, exactly: { at_least: number, at_most: number },
}[how]);
const how = { label: "How many", type: "choice", value: "least", choices: { least: "at least", most: "at most", exactly: "exactly" } };

export const KINDS = {
  stack: {
    title: "Team stack", into: "stacks",
    fields: {
      size: count("Players of one team", 3, { min: 2 }), teams, positions: positions(),
      roles: { label: "Among them", type: "text", placeholder: "1 QB, 2 WR/TE" },
      bring_back: count("Bring back", 0), bring_back_positions: positions("Bring-back positions"), max_exposure: share("Max % per team", 100),
    },
    make: (v) => ({ ...v, roles: roles(v.roles) }),
  },
  game_stack: {
    title: "Game stack", into: "game_stacks",
    fields: {
      size: count("Players of one game", 4, { min: 2 }), per_team: count("Of each side", 1),
      games: { label: "Games", type: "text", list: true, placeholder: "any, or AWAY@HOME" }, positions: positions(), max_exposure: share("Max % per game", 100),
    },
    make: (v) => v,
  },
  group: {
    title: "Group", into: "groups",
    fields: { how, number: count("Number", 1), players: players() },
    make: (v, index) => ({ name: `group ${index + 1}`, players: v.players, ...bounds(v.how, v.number) }),
  },
  condition: {
    title: "If – then", into: "conditions",
    fields: { when: players("If any of"), how, number: count("Number", 1), then: players("Then of") },
    make: (v) => ({ when: v.when, then: v.then, ...bounds(v.how, v.number) }),
  },
  player: {
    title: "Player exposure", fields: { players: players(), least: share("Min %", 0), most: share("Max %", 100) },
    make: (v) => v,
  },
  team: {
    title: "Team exposure", into: "team_exposures",
    fields: {
      team: { label: "Team", type: "text" }, players: count("Players or more", 1, { min: 1 }),
      min_exposure: share("Min %", 0), max_exposure: share("Max %", 100),
    },
    make: (v) => ({ ...v, team: v.team.toUpperCase() }),
  },
  opposing: {
    title: "Restrict opposing", into: "opposing",
    fields: { positions: positions("Beside", "P"), against: positions("Opponents", "C, 1B, 2B, 3B, SS, OF"), at_most: count("At most", 0) },
    make: (v) => v,
  },
  same_team: {
    title: "Same-team limit", into: "same_team",
    fields: { positions: positions("Positions", "RB"), at_most: count("At most", 1), teams },
    make: (v) => v,
  },
  spacing: { title: "Batting-order spacing", fields: { span: count("Within places", 5, { min: 1, max: 9 }) }, make: (v) => v },
  ownership: {
    title: "Total ownership",
    fields: { most: { label: "At most % in sum", type: "number", value: 150, min: 0, max: 1500, share: true } },
    make: (v) => ({ max_total: v.most }),
  },
};
