// The rooms of the floor plan: the folders that never import each other. Read by the lint rules and by walls.test.ts, so
// that a new room is named once.

export const ROOMS = [
  'registry',
  'producers',
  'stream-jobs',
  'sinks',
  'query-api',
  'audit',
  'forecast',
  'models',
  'dashboard',
  'deploy',
  'cli',
  'sim',
  'bench',
]

/** These start or measure the others: they may reach into them and pass the environment on; nobody reaches into these. */
export const OUTER = ['sim', 'bench', 'cli']
