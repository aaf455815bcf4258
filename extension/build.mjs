/**
 * Bundle `lib/` into `prebuilt/`, which JupyterLab loads as it is.
 *
 * The builder takes the versions of shared packages from the JupyterLab that it is pointed to, so that a
 * bundle would warn in every older one. It is pointed to what `package.json` asks for instead.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const core = {
  dependencies,
  jupyterlab: { singletonPackages: Object.keys(dependencies) }
};
mkdirSync('lib/core', { recursive: true });
writeFileSync('lib/core/package.json', JSON.stringify(core));

const argv = ['build-labextension', '--core-path', 'lib/core', '.'];
const { status } = spawnSync('npx', argv, { stdio: 'inherit' });
if (status !== 0) {
  process.exit(status ?? 1);
}

// How JupyterLab's extension manager says where this came from.
const install = {
  packageManager: 'python',
  packageName: 'nixenv',
  uninstallInstructions: 'Use your Python package manager (pip, conda, etc.) to uninstall nixenv'
};
writeFileSync('prebuilt/install.json', `${JSON.stringify(install, null, 2)}\n`);
